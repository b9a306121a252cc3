"""Decides which words a person reads: one flat table per language, keys are refusal codes and page keys."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from idp.http.languages import LANGUAGES, Language

LOCALES = Path(__file__).parent / "locales"
Fact = str | int


class MissingText(Exception):
    """A key or one of its facts does not exist; tests find it before a person does."""


@dataclass(frozen=True)
class RefusalText:
    """What a refusal says: a heading, what happened, and what to do now."""

    title: str
    what: str
    next: str

    @property
    def line(self) -> str:
        """Return what happened and what to do as one message beside a field."""
        return f"{self.what}{self.next}" if self.what.endswith("。") else f"{self.what} {self.next}".strip()


class _Ellipsis(dict[str, Fact]):
    def __missing__(self, key: str) -> str:
        return "…"


class Messages:
    """The texts of every language, read once."""

    def __init__(self, texts: Mapping[Language, Mapping[str, str]]) -> None:
        self._texts = texts

    def text(self, language: Language, key: str, /, **facts: Fact) -> str:
        """Return the text of ``key`` with its ``{facts}`` filled in; raise MissingText when key or fact is missing."""
        try:
            text = self._texts[language][key]
            return text.format_map(facts) if "{" in text else text
        except KeyError as error:
            raise MissingText(f"{language}: {key}: {error}") from None

    def has(self, language: Language, key: str) -> bool:
        """Tell whether there is such a text."""
        return key in self._texts[language]

    def refusal(self, language: Language, code: str, facts: Mapping[str, Fact]) -> RefusalText:
        """Return the three texts ``<code>_title``, ``<code>`` and ``<code>_next``.

        It never fails, because it speaks when something already went wrong: an unknown code speaks as ``fault``, a missing fact as "…".
        """
        texts = self._texts[language]
        if code not in texts:
            code = "fault"
        known = _Ellipsis(facts)
        title, what, then = (texts.get(key, "").format_map(known) for key in (f"{code}_title", code, f"{code}_next"))
        return RefusalText(title or texts["error_title"], what, then)

    def keys(self, language: Language) -> frozenset[str]:
        """Return every key of a language."""
        return frozenset(self._texts[language])


def load_messages(directory: Path = LOCALES) -> Messages:
    """Return the texts of ``<directory>/<language>/*.toml``; raise ValueError for what is no text and for a key that two files hold."""
    texts: dict[Language, Mapping[str, str]] = {}
    for language in LANGUAGES:
        table: dict[str, str] = {}
        for path in sorted((directory / language).glob("*.toml")):
            for key, value in tomllib.loads(path.read_text(encoding="utf-8")).items():
                if not isinstance(value, str) or key in table:
                    raise ValueError(f"{language}/{path.name}: {key} is not a text, or another file has it")
                table[key] = value
        texts[language] = table
    return Messages(texts)
