"""Decides which text a person accepts: the installation's own file per language, else the one that comes with the product."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NATURAL_PERSON: Final = "natural_person"
TEXTS: Final = Path(__file__).parent.parent / "texts"
LANGUAGES: Final = ("zh-CN", "en")
MOST: Final = 200_000


class UnusableAgreement(Exception):
    """A text cannot be read; one sentence for the operator."""


@dataclass(frozen=True)
class Agreement:
    """One text in one language. ``version`` is said to people; the hash of ``text`` is what is kept."""

    name: str
    version: str
    language: str
    text: str

    @property
    def text_hash(self) -> bytes:
        """Return SHA-256 of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).digest()


def load_agreements(version: str, folder: Path | None = None) -> Mapping[str, Agreement]:
    """Return language → the service agreement of natural persons.

    ``folder`` holds ``natural_person.<language>.txt``; None is the text of the product. Raises UnusableAgreement.
    """
    loaded = {}
    for language in LANGUAGES:
        path = (folder or TEXTS) / f"{NATURAL_PERSON}.{language}.txt"
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise UnusableAgreement(f"The agreement {path} cannot be read as UTF-8 text.") from None
        if not text or len(text) > MOST:
            raise UnusableAgreement(f"The agreement {path} is empty or too long.")
        loaded[language] = Agreement(NATURAL_PERSON, version, language, text)
    return loaded
