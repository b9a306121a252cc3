"""Decides how an authorization request goes on after each step a person took (architecture decision 13)."""

import json
from collections.abc import Callable, Mapping
from typing import assert_never
from urllib.parse import quote

from idp.kernel.audit_events import Place
from idp.kernel.errors import Refusal
from idp.protocol.rules.authorization import ConsentRequired, Progress, SignInRequired
from idp.protocol.services.authorization import Answer, Authorization
from idp.sign_in.rules.interaction import Interaction, Leave, PageNeeded, Refused, SignInNeeded, Step

KIND = "authorize"


def write_request(parameters: Mapping[str, str], *, consented: bool = False, denied: bool = False) -> str:
    """Return the interaction's request: the parameters as they came, and what the person answered since."""
    return json.dumps({"parameters": dict(parameters), "consented": consented, "denied": denied}, ensure_ascii=False)


def read_parameters(interaction: Interaction) -> dict[str, str]:
    """Return the parameters of the authorization request that began the interaction."""
    parameters: dict[str, str] = json.loads(interaction.request)["parameters"]
    return parameters


def read_progress(interaction: Interaction, *, signed_in: bool) -> Progress:
    """Return what happened in this flow so far."""
    stored = json.loads(interaction.request)
    return Progress(fresh_after=interaction.fresh_after, signed_in=signed_in, consented=stored["consented"], denied=stored["denied"])


class AuthorizeContinuation:
    """What the dispatcher asks about interactions of kind ``authorize``."""

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    async def decide(
        self, interaction: Interaction, session_hash: bytes | None, request_id: str = "", place: Callable[[], Place] | None = None
    ) -> Step:
        """Return the next step: the code or error for the department, the consent page, or sign-in."""
        try:
            outcome = await self._authorization.answer(
                read_parameters(interaction),
                session_hash,
                progress=read_progress(interaction, signed_in=interaction.person_id is not None),
                request_id=request_id,
                place=place,
            )
        except Refusal as refusal:
            return Refused(refusal.code)
        if isinstance(outcome, Answer):
            return Leave(outcome.url, outcome.client.name)
        match outcome.decision:
            case SignInRequired():
                return SignInNeeded()
            case ConsentRequired():
                return PageNeeded(f"/consent?i={quote(interaction.id)}")
            case _:
                assert_never(outcome.decision)
