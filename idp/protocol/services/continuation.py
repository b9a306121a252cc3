"""Decides how an authorization request goes on after each step a person took (architecture decision 13)."""

import json
from collections.abc import Mapping
from typing import assert_never
from uuid import UUID

from idp.kernel.audit_events import Place
from idp.kernel.errors import Refusal
from idp.people.rules.person import Standing as PersonStanding
from idp.protocol.rules.authorization import (
    AccountChoiceRequired,
    Barred,
    ConsentRequired,
    LevelUnreachable,
    Progress,
    ProofRequired,
    SignInRequired,
)
from idp.protocol.rules.authorization_request import PARAMETERS
from idp.protocol.services.authorization import Authorization, Unreachable, name_page
from idp.protocol.services.responding import Answer
from idp.sign_in.rules.interaction import Interaction, Leave, PageNeeded, Refused, SignInNeeded, Step, is_answered_by
from idp.sign_in.rules.session import Session
from idp.sign_in.services.dispatch import Leaving

KIND = "authorize"


def write_request(parameters: Mapping[str, str], *, consented: bool = False, denied: bool = False, by: UUID | None = None) -> str:
    """Return the interaction's request: the parameters that are read, as they came, and what the person ``by`` answered since."""
    kept = {name: value for name, value in parameters.items() if name in PARAMETERS}
    whose = None if by is None else str(by)
    return json.dumps({"parameters": kept, "consented": consented, "denied": denied, "by": whose}, ensure_ascii=False)


def read_parameters(interaction: Interaction) -> dict[str, str]:
    """Return the parameters of the authorization request that began the interaction."""
    parameters: dict[str, str] = json.loads(interaction.request)["parameters"]
    return parameters


def read_progress(interaction: Interaction, person_id: UUID | None) -> Progress:
    """Return what happened in this flow so far, as far as it counts for whoever is signed in now: another tab may have changed that."""
    stored = json.loads(interaction.request)
    agrees = person_id is None or stored.get("by") == str(person_id)
    answers = is_answered_by(interaction, person_id)
    return Progress(
        fresh_after=interaction.fresh_after,
        signed_in=person_id is not None and interaction.person_id == person_id,
        consented=stored["consented"] and agrees,
        denied=stored["denied"] and agrees,
        declined=interaction.declined and answers,
        without_passkey=interaction.without_passkey and answers,
        confirmed=interaction.confirmed and answers,
    )


class AuthorizeContinuation:
    """What the dispatcher asks about interactions of kind ``authorize``."""

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    async def decide(
        self,
        interaction: Interaction,
        session: Session | None,
        standing: PersonStanding | None,
        request_id: str,
        place: Place,
        leave: Leaving,
    ) -> Step:
        """Return the next step: the code or error for the department, the consent page, or sign-in."""
        try:
            outcome = await self._authorization.answer(
                read_parameters(interaction),
                session.id_hash if session is not None else None,
                progress=read_progress(interaction, session.person_id if session is not None else None),
                request_id=request_id,
                place=lambda: place,
                leave=leave,
            )
        except Refusal as refusal:
            return Refused(refusal.code, str(refusal.facts.get("back_url", "")))
        if isinstance(outcome, Unreachable):
            return Refused(outcome.code, outcome.url)
        if isinstance(outcome, Answer):
            return Leave(outcome.url, outcome.fields)
        match outcome.decision:
            case SignInRequired(wanted=wanted, fresh_after=fresh_after, resistant=resistant, insists=insists):
                return SignInNeeded(wanted, resistant, insists, fresh_after)
            case ProofRequired():
                return PageNeeded("/raise")
            case AccountChoiceRequired():
                return PageNeeded("/confirm")
            case ConsentRequired():
                return PageNeeded("/consent")
            case LevelUnreachable() | Barred():
                return Refused(name_page(outcome.decision))
            case _:
                assert_never(outcome.decision)
