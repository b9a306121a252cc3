"""Decides how a page becomes bytes: compiled templates, texts of the person's language, nothing that is not escaped."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from idp.http.errors import find_refusal_status, write_wait
from idp.http.forms import FieldError
from idp.http.languages import LANGUAGES, Language
from idp.http.messages import Fact, Messages
from idp.http.request_context import RequestContext
from idp.http.static import StaticFiles
from idp.kernel.clock import SHANGHAI
from idp.kernel.errors import Refusal

PACKAGE = Path(__file__).parent.parent
MAX_SWITCH_QUERY = 8_000
FRONT_PAGE = "/"
WAYS_ON: Mapping[str, str] = {
    **dict.fromkeys(("interaction_expired", "foreign_browser", "step_repeated", "form_forged"), "start_again"),
    "interaction_finished": "go_on",
}
"""Refusals of a flow → what the way on is called: ``<name>_at`` a department, ``<name>`` without one."""
LINKS_ON: Mapping[str, tuple[str, str, str]] = {
    "passkey_missing": ("add-passkey", "/account/passkeys", "passkey_none_add"),
    **dict.fromkeys(("level_unreachable", "request_of_another"), ("again", "/sign-out", "level_unreachable_other_account")),
    "another_person_here": ("again", "/sign-out", "sign_out_submit"),
    "device_tries_limited": ("device", "/device", "device_again"),
    **dict.fromkeys(("not_found", "method_not_allowed"), ("home", FRONT_PAGE, "front_page")),
}
"""Refusals whose next step is a page of ours → the button's id, its address, and what it says; it stands beside the way back."""
OTHER_LANGUAGE: Mapping[Language, Language] = {"zh-CN": "en", "en": "zh-CN"}


@dataclass(frozen=True)
class Service:
    """How this installation is called, and where its people help."""

    name_zh: str
    name_en: str
    hotline: str

    def find_name(self, language: Language) -> str:
        """Return the service's name in a language."""
        return self.name_zh if language == "zh-CN" else self.name_en


@dataclass(frozen=True)
class Way:
    """A button of an error page: where it leads, what it says, and its id."""

    url: str
    label: str
    id: str = "back"


@dataclass(frozen=True)
class ShownError:
    """A FieldError in the person's language, with the id of the field that its link leads to."""

    field: str
    text: str


def _localize(at: datetime) -> datetime:
    """Return an instant as the people here read it: every time on a page is Asia/Shanghai."""
    return at.astimezone(SHANGHAI)


def _find_department(language: Language, known: Mapping[str, Fact]) -> str:
    name, english = str(known.get("department", "")), str(known.get("department_en", ""))
    return name if language == "zh-CN" else english or name


def find_template_directories(package: Path = PACKAGE) -> list[Path]:
    """Return ``idp/http/templates`` and every feature's ``templates``."""
    return [package / "http" / "templates", *sorted(p for p in package.glob("*/templates") if p.parent.name != "http")]


class Pages:
    """Renders every page. Template names are plain file names, unique over all features."""

    def __init__(
        self,
        messages: Messages,
        service: Service,
        static: StaticFiles,
        directories: Iterable[Path] | None = None,
    ) -> None:
        self._messages = messages
        self._service = service
        self._environment = Environment(
            loader=FileSystemLoader(list(directories) if directories is not None else find_template_directories()),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            cache_size=-1,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["static"] = static.find_path
        self._environment.filters["local"] = _localize
        self._templates = {name: self._environment.get_template(name) for name in self._environment.list_templates(extensions=["html"])}
        self._texts: dict[Language, Callable[..., str]] = {language: partial(messages.text, language) for language in LANGUAGES}
        self._has = {language: partial(messages.has, language) for language in LANGUAGES}

    @property
    def messages(self) -> Messages:
        """Return the texts that the pages speak with."""
        return self._messages

    def write(self, context: RequestContext, template: str, **values: Any) -> str:
        """Return a page as text. ``errors`` is a sequence of FieldError (see forms.py); further names: each template's first comment."""
        language = context.language
        errors = [self._show_error(language, error) for error in values.pop("errors", ())]
        return self._templates[template].render(
            t=self._texts[language],
            has=self._has[language],
            language=language,
            elder=context.elder,
            request_id=context.request_id,
            path=context.path,
            service_name=self._service.find_name(language),
            hotline=self._service.hotline,
            switch=self._find_switches(context, values.get("i") or context.interaction),
            errors=errors,
            errors_of={error.field: error.text for error in reversed(errors)},
            **values,
        )

    def render(
        self,
        context: RequestContext,
        template: str,
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """Return a page as an answer that nobody stores. Cookies are added with ``context.set_cookie``."""
        page = self.write(context, template, **values)
        return HTMLResponse(page, status, headers={"cache-control": "no-store", **(headers or {})})

    def refuse(self, context: RequestContext, refusal: Refusal | str, **facts: Fact) -> Response:
        """Return the error page of a refusal (or of its code), with the status of the one table.

        The facts ``department`` and ``department_en`` (its name), ``home_url`` (where one begins again there) and ``back_url`` (where
        this flow goes on), when given, keep the way open; a flow that cannot go on always has one, at worst to the front page.
        """
        code = refusal if isinstance(refusal, str) else refusal.code
        known: dict[str, Fact] = {"hotline": self._service.hotline, **(refusal.facts if isinstance(refusal, Refusal) else {}), **facts}
        status = find_refusal_status(code)
        department = _find_department(context.language, known)
        return self.render(
            context,
            "error.html",
            status,
            headers=write_wait(status, known),
            text=self._messages.refusal(context.language, code, known),
            code=code,
            department=department,
            ways=self._list_ways(context.language, code, department, known),
        )

    def _list_ways(self, language: Language, code: str, department: str, known: Mapping[str, Fact]) -> list[Way]:
        way = self._find_way(language, code, department, known)
        ways = [way] if way is not None else []
        if code in LINKS_ON:
            button, url, text = LINKS_ON[code]
            ways.append(Way(url, self._messages.text(language, text), button))
        return ways

    def _find_way(self, language: Language, code: str, department: str, known: Mapping[str, Fact]) -> Way | None:
        back, home = str(known.get("back_url", "")), str(known.get("home_url", ""))
        if back:
            name, facts = ("back_to_department", {"department": department}) if department else ("returning_continue", {})
            return Way(back, self._messages.text(language, name, **facts))
        if code in WAYS_ON and not (home and department):
            return Way(home or FRONT_PAGE, self._messages.text(language, WAYS_ON[code]))
        if not home or not department:
            return None
        name = f"{WAYS_ON[code]}_at" if code in WAYS_ON else "back_to_department"
        return Way(home, self._messages.text(language, name, department=department))

    def _show_error(self, language: Language, error: FieldError) -> ShownError:
        facts = {"hotline": self._service.hotline, **error.facts}
        if self._messages.has(language, f"{error.key}_next"):
            return ShownError(error.field, self._messages.refusal(language, error.key, facts).line)
        return ShownError(error.field, self._messages.text(language, error.key, **facts))

    @staticmethod
    def _find_switches(context: RequestContext, interaction: object) -> dict[str, str]:
        """Return the addresses of this page in the other language and mode: a query alone, which keeps whatever path this is.

        The path itself is what the visitor's address says; written into a link, ``//host`` would lead to another host.
        """
        if context.method == "POST" or len(context.query) > MAX_SWITCH_QUERY:
            kept = [("i", str(interaction))] if interaction else []
        else:
            query = context.query.decode("utf-8", "replace")
            kept = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k not in ("lang", "elder")]
        return {
            "language": f"?{urlencode([*kept, ('lang', OTHER_LANGUAGE[context.language])])}",
            "elder": f"?{urlencode([*kept, ('elder', '0' if context.elder else '1')])}",
        }
