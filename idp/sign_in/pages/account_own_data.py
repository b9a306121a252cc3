"""Decides how people change e-mail and postal address: the form, then the code, then the profile, which says that it is done."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.authenticators.rules.sms_code import normalize_code
from idp.http.errors import judge_form
from idp.http.forms import FieldError, Form
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.errors import Refusal
from idp.people.rules.email_address import EmailAddress, EmailSlip, check_email
from idp.people.rules.postal_address import AddressSlip, PostalAddress, check_address
from idp.people.rules.profile_change import OwnDatum, OwnValue, ProfileChange
from idp.sign_in.pages.account import PROFILE, name_done
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.account import Owner
from idp.sign_in.services.account_own_data import AccountOwnData, Desk

PATHS = {f"/account/{datum.value}": datum for datum in OwnDatum}
FIELDS = {OwnDatum.EMAIL: ("email",), OwnDatum.ADDRESS: ("province", "city", "district", "detail", "postal_code")}
MAX_FIELD = 1_000
MAX_HIDDEN = 64

CODE_FIELDS = {"code_wrong": "code", "code_dead": "code", "code_gone": "code"}
"""Refusals that stand beside the field of the code."""
SENDING = frozenset({"sms_for_another", "sms_too_soon", "sms_limit_reached", "sms_busy", "sending_locked", "resend_locked"})
"""Refusals of another message: in the form of the code they stand beside the button that asks for one."""
WORDS = {"sms_for_another": "own_data_wait", "sending_locked": "own_data_locked"}
"""Refusals whose own words name a button that the form of the datum does not have."""


class AccountOwnDataPage:
    """``GET`` and ``POST`` of ``/account/email`` and ``/account/address``."""

    def __init__(self, pages: Pages, door: AccountDoor, own_data: AccountOwnData) -> None:
        self._pages = pages
        self._door = door
        self._own_data = own_data

    def routes(self) -> list[Route]:
        """Return the routes of these pages."""
        return [route for path in PATHS for route in (Route(path, self.show, methods=["GET"]), Route(path, self.submit, methods=["POST"]))]

    async def show(self, request: Request) -> Response:
        """Show the form of the code while a change waits for it; else, or with ``edit=1``, the form of the datum."""
        context, datum = read_context(request), PATHS[request.url.path]
        owner = await self._door.enter(context, request.url.path)
        if isinstance(owner, Response):
            return owner
        desk = await self._own_data.look(owner, datum)
        if desk.waiting is not None and request.query_params.get("edit") != "1":
            resent = request.query_params.get("sent", "") == self._door.mark_done(owner, _name_sent(datum))
            return self._draw_code(context, owner, desk, desk.waiting, [], resent=resent)
        return self._draw_form(context, owner, datum, desk, _fill(desk), [])

    async def submit(self, request: Request) -> Response:
        """Let a change wait for its code, send another code, or change the datum with it."""
        context, path = read_context(request), request.url.path
        datum = PATHS[path]
        read = await self._door.read(request, context, path)
        if isinstance(read, Response):
            return read
        owner, form = read
        try:
            if form.get("do", 10) == "confirm" or form.get("resend", 1):
                return await self._take_code(context, owner, datum, form)
            return await self._take_value(context, owner, datum, form)
        except StepRepeated as refusal:
            return self._pages.refuse(context, refusal, back_url=path)

    async def _take_value(self, context: RequestContext, owner: Owner, datum: OwnDatum, form: Form) -> Response:
        typed = {name: form.get(name, MAX_FIELD) for name in FIELDS[datum]}
        desk = await self._own_data.look(owner, datum)
        if form.get("redraw", 1):  # another language was chosen
            return self._draw_form(context, owner, datum, desk, typed, [])
        value = None if form.get("do", 10) == "remove" else _check(datum, typed)
        if isinstance(value, list):
            return self._draw_form(context, owner, datum, desk, typed, value)
        try:
            await self._own_data.ask(owner, datum, value, read_visit(context))
        except Refusal as refusal:
            if refusal.code not in SENDING and refusal.code != "own_datum_unchanged":
                raise
            error = FieldError("", WORDS.get(refusal.code, refusal.code), refusal.facts)
            return self._draw_form(context, owner, datum, desk, typed, [error], refusal)
        return RedirectResponse(context.path, 303)

    async def _take_code(self, context: RequestContext, owner: Owner, datum: OwnDatum, form: Form) -> Response:
        step, visit = form.get("step", MAX_HIDDEN), read_visit(context)
        try:
            if form.get("resend", 1):
                await self._own_data.resend(owner, datum, step, visit)
                return RedirectResponse(f"{context.path}?sent={self._door.mark_done(owner, _name_sent(datum))}", 303)
            typed = form.get("code")
            if normalize_code(typed) is None:
                return await self._ask_again(context, owner, datum, FieldError("code", "code_malformed" if typed.strip() else "code_empty"))
            done = await self._own_data.confirm(owner, datum, step, typed, visit)
        except Refusal as refusal:
            field = CODE_FIELDS.get(refusal.code, "resend" if refusal.code in SENDING else "")
            if not field:
                raise
            return await self._ask_again(context, owner, datum, FieldError(field, refusal.code, refusal.facts), refusal)
        return RedirectResponse(f"{PROFILE}?done={self._door.mark_done(owner, name_done(datum, removed=done == 'removed'))}", 303)

    async def _ask_again(
        self, context: RequestContext, owner: Owner, datum: OwnDatum, error: FieldError, refusal: Refusal | None = None
    ) -> Response:
        desk = await self._own_data.look(owner, datum)
        if desk.waiting is None:
            raise StepRepeated
        return self._draw_code(context, owner, desk, desk.waiting, [error], refusal)

    def _draw_form(
        self,
        context: RequestContext,
        owner: Owner,
        datum: OwnDatum,
        desk: Desk,
        typed: Mapping[str, str],
        errors: list[FieldError],
        refusal: Refusal | None = None,
    ) -> Response:
        status, wait = judge_form(errors, refusal)
        return self._pages.render(
            context,
            f"account_{datum.value}.html",
            status,
            headers=wait,
            csrf=owner.csrf,
            datum=datum.value,
            kept="" if desk.value is None else str(desk.value),
            typed=typed,
            phone=str(desk.phone) if desk.phone is not None else "",
            obstacle=desk.obstacle,
            errors=errors,
        )

    def _draw_code(
        self,
        context: RequestContext,
        owner: Owner,
        desk: Desk,
        change: ProfileChange,
        errors: list[FieldError],
        refusal: Refusal | None = None,
        *,
        resent: bool = False,
    ) -> Response:
        status, wait = judge_form(errors, refusal)
        return self._pages.render(
            context,
            "account_own_data_code.html",
            status,
            headers=wait,
            csrf=owner.csrf,
            step=change.id,
            datum=change.datum.value,
            wanted=change.value.write().splitlines() if change.value is not None else [],
            phone=str(desk.phone) if desk.phone is not None else "",
            minutes=desk.minutes,
            ended=desk.code_ended and not errors,
            resent=resent,
            errors=errors,
        )


def _check(datum: OwnDatum, typed: Mapping[str, str]) -> OwnValue | list[FieldError]:
    if datum is OwnDatum.EMAIL:
        email = check_email(typed["email"])
        return [FieldError("email", f"email_{email.value}")] if isinstance(email, EmailSlip) else email
    address = check_address(typed)
    if isinstance(address, PostalAddress):
        return address
    return [FieldError(name, _name_slip(name, address[name])) for name in FIELDS[datum] if name in address]


def _name_slip(name: str, slip: AddressSlip) -> str:
    return f"{name}_{slip.value}" if slip in (AddressSlip.EMPTY, AddressSlip.MALFORMED) else f"address_{slip.value}"


def _fill(desk: Desk) -> dict[str, str]:
    """Return what the form begins with: what waits for its code; of what is kept, only what the profile shows as well."""
    shown = desk.waiting.value if desk.waiting is not None else desk.value
    if isinstance(shown, EmailAddress):
        return {"email": shown.write()} if desk.waiting is not None else {}
    if isinstance(shown, PostalAddress):
        area = {"province": shown.province, "city": shown.city, "district": shown.district}
        return {**area, "detail": shown.detail, "postal_code": shown.postal_code} if desk.waiting is not None else area
    return {}


def _name_sent(datum: OwnDatum) -> str:
    return f"code {datum.value}"
