"""Decides how the step of the further items is shown and read: what is confirmed, who is silent, what may still be given."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from idp.http.forms import FieldError, Form
from idp.kernel.checks import CheckKind
from idp.kernel.errors import Refusal
from idp.people.rules.proofing_items import ITEMS, NEEDED, ItemPlan
from idp.people.rules.registration import Step
from idp.people.services.registration import Registration
from idp.sign_in.pages.registration_door import RegistrationDoor, Stand, require_draft
from idp.sign_in.pages.registration_forms import MAX_HIDDEN, list_item_fields, parse_items
from idp.sign_in.pages.registration_views import view_items

ITEM_ERRORS: Final = frozenset({"items_too_few", "items_insufficient", "item_is_document", "checks_limited", "checks_busy"})
WORDS: Final = {"checks_limited": "items_limited"}
"""Refusals that are told in words of their own where another item may be tried."""


class ItemsStep:
    """At least two further items. ``serves`` tells whether any authority can be asked about a kind."""

    def __init__(self, door: RegistrationDoor, registration: Registration, serves: Callable[[CheckKind], bool], plan: ItemPlan) -> None:
        self._door = door
        self._registration = registration
        self._serves = serves
        self._plan = plan

    # ---- step 3: items ----

    async def show_items(self, stand: Stand, why: str) -> Response:
        """Show the third step, or what is confirmed already."""
        return self._render_items(stand, lost=why == "lost")

    async def take_items(self, stand: Stand, form: Form) -> Response:
        """Ask the authorities about the items that were given, or about those that were not answered; ``redraw`` asks nobody."""
        held = stand.draft
        if held is None or held.step is not Step.ITEMS:
            return self._door.go_on(stand)
        if "redraw" in form:
            return self._render_items(stand, form)
        if form.get("step", MAX_HIDDEN) != stand.token:
            return self._render_items(stand, form, [FieldError("", "draft_moved")])
        try:
            if "retry" in form:
                held = await self._registration.continue_items(held, stand.who)
            else:
                given, errors = parse_items(form, ITEMS, held.draft.document, self._plan)
                if errors:
                    return self._render_items(stand, form, errors)
                held = await self._registration.submit_items(held, given, stand.who)
        except Refusal as refusal:
            if refusal.code not in ITEM_ERRORS:
                raise
            error = FieldError(str(refusal.facts.get("field", "")), WORDS.get(refusal.code, refusal.code), refusal.facts)
            return self._render_items(await self._door.enter_again(stand), form, [error], refusal)
        return self._door.go_on(replace(stand, draft=held))

    def _render_items(
        self,
        stand: Stand,
        form: Form | None = None,
        errors: list[FieldError] | None = None,
        refusal: Refusal | None = None,
        *,
        lost: bool = False,
    ) -> Response:
        draft = require_draft(stand)
        enough = stand.draft is not None and stand.draft.step is not Step.ITEMS
        view = view_items(draft.answers, draft.pending, self._serves)
        return self._door.render(
            stand,
            Step.ITEMS,
            errors,
            refusal,
            phone=str(draft.phone),
            items=[] if enough else list_item_fields(view.open, form, self._plan),
            done=view.done,
            count=view.count,
            wanted=NEEDED,
            enough=enough,
            waiting=() if enough else view.waiting,
            lost=lost,
        )
