"""Decides how each form of a sign-in is drawn; a refusal that time heals also says when to come back."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from idp.authenticators.rules.refusals import ProofWanted
from idp.http.errors import judge_form
from idp.http.forms import FieldError
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext
from idp.kernel.errors import Refusal
from idp.sign_in.services.interactions import Held
from idp.sign_in.services.visits import AskCode, AskFirstCode, AskNewPassword, AskPasskey

CODE_WAY = "code"
"""What ``way`` says in the address of the form that asks for a code instead of a password."""


class SignInForms:
    """Draws the forms."""

    def __init__(self, pages: Pages, code_minutes: int, ask_passkey: Callable[[Held], str]) -> None:
        self._pages = pages
        self._code_minutes = code_minutes
        self._ask_passkey = ask_passkey

    def show_password(
        self,
        context: RequestContext,
        held: Held,
        identifier: str,
        errors: list[FieldError],
        refusal: Refusal | None = None,
        notice: str | None = None,
    ) -> Response:
        """Draw identifier and password."""
        passkey = self._ask_passkey(held)
        return self._draw(context, "sign_in.html", held, errors, refusal, identifier=identifier, notice=notice, passkey=passkey)

    def show_identifier(
        self, context: RequestContext, held: Held, identifier: str, errors: list[FieldError], notice: str | None = None
    ) -> Response:
        """Draw the identifier alone, to which a code is sent."""
        passkey = self._ask_passkey(held)
        return self._draw(context, "sign_in_code.html", held, errors, None, identifier=identifier, notice=notice, passkey=passkey)

    def show_secret(self, context: RequestContext, held: Held, errors: list[FieldError], refusal: Refusal | None = None) -> Response:
        """Draw the password alone."""
        return self._draw(context, "password.html", held, errors, refusal)

    def show_passkey(
        self, context: RequestContext, asked: AskPasskey, errors: list[FieldError], refusal: Refusal | None = None
    ) -> Response:
        """Draw the page on which nothing but a passkey leads on."""
        known, essential = asked.known, asked.essential
        return self._draw(context, "passkey.html", asked.held, errors, refusal, passkey=asked.options, known=known, essential=essential)

    def show_new_password(
        self, context: RequestContext, asked: AskNewPassword, errors: list[FieldError], refusal: Refusal | None = None
    ) -> Response:
        """Draw the form for another password."""
        return self._draw(context, "new_password.html", asked.held, errors, refusal, name=asked.name)

    def show_code(
        self, context: RequestContext, asked: AskCode | AskFirstCode, errors: list[FieldError], refusal: Refusal | None = None
    ) -> Response:
        """Draw the form for the code."""
        first = isinstance(asked, AskFirstCode)
        return self._draw(
            context,
            "code.html",
            asked.held,
            errors,
            refusal,
            phone="" if isinstance(asked, AskFirstCode) else str(asked.phone),
            asks_document=isinstance(asked, AskFirstCode) and asked.asks_document,
            first=first,
            minutes=self._code_minutes,
            resent=asked.sent,
            unsent=asked.unsent,
        )

    def _draw(
        self,
        context: RequestContext,
        template: str,
        held: Held,
        errors: list[FieldError],
        refusal: Refusal | None,
        **values: Any,
    ) -> Response:
        status, wait = judge_form(errors, refusal)
        return self._pages.render(
            context,
            template,
            status,
            headers=wait,
            i=held.interaction.id,
            csrf=held.interaction.csrf,
            step=held.step,
            department=held.interaction.name_department(context.language),
            errors=errors,
            puzzle=refusal.puzzle if isinstance(refusal, ProofWanted) else None,
            **values,
        )
