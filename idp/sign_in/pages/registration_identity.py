"""Decides how the first two steps of a registration are shown and read: who one is, the phone's code, the register's answer."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from idp.authenticators.rules.sms_code import normalize_code
from idp.http.forms import FieldError, Form
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import SHANGHAI, Clock
from idp.kernel.errors import Refusal
from idp.people.rules.identifiers import DOCUMENT_KINDS
from idp.people.rules.registration import LIFE, Step
from idp.people.services.drafts import HeldDraft
from idp.people.services.registration import Registration
from idp.sign_in.pages.registration_door import RegistrationDoor, Stand, require_draft
from idp.sign_in.pages.registration_forms import (
    MAX_CODE,
    MAX_HIDDEN,
    TypedIdentity,
    parse_identity,
    read_typed_identity,
    write_typed_identity,
)
from idp.sign_in.services.arrival import Arrival

PREFILLED: Final = timedelta(minutes=30)
"""For so long after it was typed the first step comes back filled in; later somebody else may sit there."""

CODE_ERRORS: Final = frozenset({"code_wrong", "code_dead", "code_gone"})
CORRECTIONS: Final[Mapping[CheckResult, str]] = {
    CheckResult.MISMATCH: "identity_mismatch",
    CheckResult.INVALID_INPUT: "identity_mismatch",
    CheckResult.NOT_FOUND: "identity_not_found",
}
"""What the register said → what the first step says about it."""


class IdentitySteps:
    """Name, document and phone; the code; the check of name and number."""

    def __init__(self, door: RegistrationDoor, registration: Registration, arrival: Arrival, clock: Clock) -> None:
        self._door = door
        self._registration = registration
        self._arrival = arrival
        self._clock = clock

    # ---- step 1: identity ----

    async def show_identity(self, stand: Stand, why: str) -> Response:
        """Show the first step: empty, or as it was typed a moment ago, with what the register said of it."""
        typed, errors = TypedIdentity(), list[FieldError]()
        if stand.draft is not None:
            draft = stand.draft.draft
            if draft.flow == stand.interaction.id and self._clock() - draft.created_at < PREFILLED:
                typed = write_typed_identity(draft)
            said = next((a.result for a in reversed(draft.answers) if a.kind is CheckKind.IDENTITY), None)
            if draft.correcting and said is not None and said in CORRECTIONS:
                errors = [FieldError("", CORRECTIONS[said])]
            if why == "phone_full":
                errors = [FieldError("phone", why)]
        return self._door.render(stand, Step.IDENTITY, errors, kinds=DOCUMENT_KINDS, typed=typed, lost=why == "lost")

    async def take_identity(self, stand: Stand, form: Form) -> Response:
        """Take the first step and lead to the code; to the register at once when the phone is proved already. ``redraw`` checks nothing."""
        if "redraw" in form:
            return self._door.render(stand, Step.IDENTITY, kinds=DOCUMENT_KINDS, typed=read_typed_identity(form))
        applicant = parse_identity(form, self._clock().astimezone(SHANGHAI).date())
        if isinstance(applicant, list):
            return self._door.render(stand, Step.IDENTITY, applicant, kinds=DOCUMENT_KINDS, typed=read_typed_identity(form))
        if stand.draft is not None and form.get("step", MAX_HIDDEN) != stand.token:
            # A form of before must not undo what was done since, in this tab or another; whoever means it sends it again.
            moved = [FieldError("", "draft_moved")]
            return self._door.render(stand, Step.IDENTITY, moved, kinds=DOCUMENT_KINDS, typed=read_typed_identity(form))
        context = stand.context
        started = await self._registration.start(
            stand.draft,
            applicant,
            flow=stand.interaction.id,
            origin=self._arrival.keep(stand.interaction),
            language=context.language,
            who=stand.who,
        )
        if started.cookie is not None:
            names = context.cookie_names
            context.set_cookie(names.set(names.draft, started.cookie, int(LIFE.total_seconds())))
        stand = replace(stand, draft=started.held)
        if started.held.step is Step.CHECK:
            return await self._check(stand, started.held)
        return self._door.go_on(stand)

    # ---- step 2: code, and the check of name and number ----

    async def show_code(self, stand: Stand, why: str) -> Response:
        """Show the second step; the first code is sent when it is first seen."""
        assert stand.draft is not None  # noqa: S101 - the door lets nobody here without a draft
        try:
            stand = replace(stand, draft=await self._registration.send_code(stand.draft, stand.who))
        except Refusal as refusal:
            again = await self._door.enter_again(stand)
            if again.draft is None or again.draft.step is not Step.CODE:
                raise
            return self._render_code(again, [FieldError("resend", refusal.code, refusal.facts)], refusal)
        return self._render_code(stand, resent=why == "resent", lost=why == "lost")

    async def take_code(self, stand: Stand, form: Form) -> Response:
        """Compare the code and ask the register, or send another code."""
        assert stand.draft is not None  # noqa: S101 - the door lets nobody here without a draft
        if "resend" in form:
            return await self._resend(stand, form)
        typed = form.get("code")
        if len(typed) > MAX_CODE or normalize_code(typed) is None:
            key = "code_malformed" if typed.strip() else "code_empty"
            return self._render_code(stand, [FieldError("code", key)])
        try:
            held = await self._registration.submit_code(stand.draft, typed, stand.who)
        except Refusal as refusal:
            if refusal.code not in CODE_ERRORS:
                raise
            return self._render_code(stand, [FieldError("code", refusal.code, refusal.facts)], refusal)
        return self._door.go_on(replace(stand, draft=held))

    async def _resend(self, stand: Stand, form: Form) -> Response:
        if stand.draft is None or form.get("step", MAX_HIDDEN) != stand.token:
            return self._door.go_on(stand)
        try:
            held = await self._registration.resend(stand.draft, stand.who)
        except Refusal as refusal:
            again = await self._door.enter_again(stand)
            if again.draft is None or again.draft.step is not Step.CODE:
                raise
            return self._render_code(again, [FieldError("resend", refusal.code, refusal.facts)], refusal)
        return self._door.go_on(replace(stand, draft=held), why="resent")

    def _render_code(
        self,
        stand: Stand,
        errors: list[FieldError] | None = None,
        refusal: Refusal | None = None,
        *,
        resent: bool = False,
        lost: bool = False,
    ) -> Response:
        draft = require_draft(stand)
        return self._door.render(
            stand,
            Step.CODE,
            errors,
            refusal,
            phone=str(draft.phone),
            minutes=self._registration.code_minutes,
            resent=resent,
            unsent=draft.sends == 0,
            lost=lost,
        )

    async def show_check(self, stand: Stand, why: str) -> Response:
        """Show that the register has not answered yet, and what one can do."""
        return self._door.render(stand, Step.CHECK, silent=why == "silent")

    async def take_check(self, stand: Stand, form: Form) -> Response:
        """Ask the register again."""
        assert stand.draft is not None  # noqa: S101 - the door lets nobody here without a draft
        return await self._check(stand, stand.draft)

    async def _check(self, stand: Stand, held: HeldDraft) -> Response:
        return self._door.go_on(replace(stand, draft=await self._registration.check_identity(held, stand.who)))
