"""Decides in which language a page answers (S17): parameter, then cookie, then the browser's request, then Chinese."""

from typing import Literal

Language = Literal["zh-CN", "en"]
LANGUAGES: tuple[Language, ...] = ("zh-CN", "en")
DEFAULT: Language = "zh-CN"
_BY_PRIMARY_TAG: dict[str, Language] = {"zh": "zh-CN", "en": "en"}


def _match(tag: str) -> Language | None:
    return _BY_PRIMARY_TAG.get(tag.strip().split("-", 1)[0].lower())


def find_language(tags: str | None) -> Language | None:
    """Return the first language of space-separated BCP 47 tags that we have, None when there is none."""
    for tag in (tags or "")[:200].split():
        language = _match(tag)
        if language is not None:
            return language
    return None


def _match_accepted(header: str | None) -> Language | None:
    best: Language | None = None
    best_quality = 0.0
    for part in (header or "")[:500].split(","):
        tag, _, parameters = part.partition(";")
        language = _match(tag)
        if language is None:
            continue
        quality = 1.0
        name, _, value = parameters.strip().partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                continue
        if quality > best_quality:
            best, best_quality = language, quality
    return best


def choose_language(parameter: str | None, cookie: str | None, accept_language: str | None) -> Language:
    """Return the language of the answer.

    ``parameter`` is ``lang`` or ``ui_locales`` (space-separated BCP 47 tags, first known wins: OpenID Connect Core §3.1.2.1),
    ``accept_language`` the header of RFC 9110 §12.5.4. Unknown languages fall through to the next source.
    """
    return find_language(parameter) or find_language(cookie) or _match_accepted(accept_language) or DEFAULT
