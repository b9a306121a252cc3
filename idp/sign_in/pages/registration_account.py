"""Decides how the last steps of a registration are shown and read: the password, the agreement, and the way to the department."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from starlette.responses import RedirectResponse, Response

from idp.http.errors import Busy
from idp.http.forms import FieldError, Form
from idp.kernel.checks import CheckKind
from idp.kernel.errors import Refusal
from idp.people.rules.masking import mask_name
from idp.people.rules.refusals import DraftExpired
from idp.people.rules.registration import Step
from idp.people.services.drafts import HeldDraft
from idp.people.services.registration import Registration
from idp.platform.password_hashing import Overloaded
from idp.sign_in.pages.registration_door import RegistrationDoor, Stand, require_draft
from idp.sign_in.pages.registration_forms import MAX_HIDDEN, MAX_PASSWORD
from idp.sign_in.pages.registration_views import group_number, lay_out, view_items
from idp.sign_in.pages.visits import set_cookies
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.arrival import Arrival

ATTEMPTS: Final = 4
"""How often a form that was sent several times at once tries to open the session."""

PASSWORD_ERRORS: Final = frozenset({"password_length", "password_personal", "password_common"})


class AccountSteps:
    """The password; reading back and agreeing; arriving."""

    def __init__(self, door: RegistrationDoor, registration: Registration, arrival: Arrival, serves: Callable[[CheckKind], bool]) -> None:
        self._door = door
        self._registration = registration
        self._arrival = arrival
        self._serves = serves

    # ---- step 4: password ----

    async def show_password(self, stand: Stand, why: str) -> Response:
        """Show the fourth step."""
        return self._render_password(stand, lost=why == "lost")

    async def take_password(self, stand: Stand, form: Form) -> Response:
        """Take the password."""
        assert stand.draft is not None  # noqa: S101 - the door lets nobody here without a draft
        password = form.get("password")
        if not password:
            return self._render_password(stand, [FieldError("password", "password_empty")])
        if len(password) > MAX_PASSWORD:
            return self._render_password(stand, [FieldError("password", "field_too_long")])
        try:
            held = await self._registration.set_password(stand.draft, password, stand.who)
        except Overloaded:
            return self._render_password(stand, [FieldError("", Busy.code)], Busy())
        except Refusal as refusal:
            if refusal.code not in PASSWORD_ERRORS:
                raise
            return self._render_password(stand, [FieldError("password", refusal.code, refusal.facts)], refusal)
        return self._door.go_on(replace(stand, draft=held))

    def _render_password(
        self, stand: Stand, errors: list[FieldError] | None = None, refusal: Refusal | None = None, *, lost: bool = False
    ) -> Response:
        return self._door.render(stand, Step.PASSWORD, errors, refusal, kept=require_draft(stand).verifier is not None, lost=lost)

    # ---- step 5: agreement, and the way to the department ----

    async def show_agreement(self, stand: Stand, why: str) -> Response:
        """Show the last step: what is recorded, and the text to agree to."""
        return self._render_agreement(stand, lost=why == "lost")

    async def take_agreement(self, stand: Stand, form: Form) -> Response:
        """Open the account and lead to where the person wanted to go."""
        held = stand.draft
        if held is None:
            raise DraftExpired
        if held.step is not Step.DONE:
            if form.get("step", MAX_HIDDEN) != stand.token:
                return self._door.go_on(stand)
            if not form.get("agreement").strip():
                return self._render_agreement(stand, [FieldError("agreement", "agreement_unticked")])
            held = await self._registration.accept(held, stand.context.language, stand.who)
        return await self._arrive(stand, held)

    async def _arrive(self, stand: Stand, held: HeldDraft) -> Response:
        for attempt in range(ATTEMPTS):
            try:
                opened = await self._arrival.open(stand.held, held.draft, stand.visit)
                break
            except StepRepeated:  # the same form, sent more than once at a time: the session of either will do
                if attempt == ATTEMPTS - 1:
                    raise
                stand = await self._door.enter_again(stand)
        set_cookies(stand.context, opened)
        # Who signs out here stays signed out: the finished registration leads to a session only while nobody got one.
        self._door.drop_cookie(stand.context)
        return RedirectResponse(stand.interaction.name_page("/continue", opened="1"), 303)

    def _render_agreement(self, stand: Stand, errors: list[FieldError] | None = None, *, lost: bool = False) -> Response:
        draft = require_draft(stand)
        agreement = self._registration.find_agreement(stand.context.language)
        view = view_items(draft.answers, (), self._serves)
        return self._door.render(
            stand,
            Step.AGREEMENT,
            errors,
            name=mask_name(draft.name),
            document_kind=draft.document.kind.value,
            id_number=group_number(str(draft.document)),
            phone=str(draft.phone),
            done=view.done,
            count=view.count,
            version=agreement.version,
            sections=lay_out(agreement),
            lost=lost,
        )
