"""Decides what an e-mail address may be and how it is written (RFC 5322 §3.4.1, RFC 5321 §4.5.3.1, RFC 5890 §2.3.2)."""

import re
import unicodedata
from dataclasses import dataclass
from encodings import idna
from enum import StrEnum
from typing import Final

from idp.people.rules.masking import mask_email
from idp.people.rules.typed_text import UNSEEN, WIDE, straighten

LONGEST: Final = 254
"""Characters of an address (RFC 5321 §4.5.3.1.3, less the angle brackets)."""

LONGEST_LOCAL: Final = 64
LONGEST_DOMAIN: Final = 253

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DOTS: Final = dict.fromkeys(map(ord, "。｡"), ".")
# Two versions of IDNA read these differently, so an address with one of them has two owners (UTS 46 §7).
_DEVIATIONS: Final = frozenset("ßς\u200c\u200d")


class EmailSlip(StrEnum):
    """Why a text is no e-mail address that we keep."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    ONE_AT = "one_at"
    LOCAL_PART = "local_part"
    DOMAIN = "domain"


@dataclass(frozen=True, repr=False)
class EmailAddress:
    """An e-mail address. It prints masked; ``value`` is an addr-spec of RFC 5322: ASCII, the domain in lower case and in A-labels."""

    value: str

    def __str__(self) -> str:
        return mask_email(self.write())

    def __repr__(self) -> str:
        return f"EmailAddress({self})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def write(self) -> str:
        """Return the address in clear as its owner writes it: with an international domain in its own letters."""
        local, _, domain = self.value.partition("@")
        return f"{local}@{'.'.join(idna.ToUnicode(label) for label in domain.split('.'))}"


def check_email(text: str) -> EmailAddress | EmailSlip:
    """Return the address that ``text`` is, or why it is none.

    The part before the @ is a dot-atom: quoted ones, comments and letters beyond ASCII are what a mail header could be broken with, and
    what few programs understand. The domain has at least two labels and is no number.
    """
    if len(text) > 2 * LONGEST:
        return EmailSlip.TOO_LONG
    written = straighten(text, WIDE)
    if not written:
        return EmailSlip.EMPTY
    local, at, domain = written.partition("@")
    if not at or "@" in domain:
        return EmailSlip.ONE_AT
    if len(local) > LONGEST_LOCAL or not _LOCAL.fullmatch(local):
        return EmailSlip.LOCAL_PART
    ascii_domain = _write_domain(domain)
    if ascii_domain is None:
        return EmailSlip.DOMAIN
    return EmailAddress(f"{local}@{ascii_domain}") if len(local) + 1 + len(ascii_domain) <= LONGEST else EmailSlip.TOO_LONG


def _write_domain(text: str) -> str | None:
    # A single letter may stand for eighteen, and IDNA looks at each of them several times; in ASCII none gets shorter again.
    if len(unicodedata.normalize("NFKC", text)) > LONGEST_DOMAIN:
        return None
    labels = text.translate(_DOTS).split(".")
    known = [written for label in labels if (written := _write_label(label)) is not None]
    if len(known) < max(len(labels), 2) or known[-1].isdigit():
        return None
    domain = ".".join(known)
    return domain if len(domain) <= LONGEST_DOMAIN else None


def _write_label(label: str) -> str | None:
    """Return a label of a domain in ASCII; None when there is no such label, or when it would not be read back as the same one."""
    try:
        written = idna.ToASCII(label).decode("ascii").lower()
        shown = idna.ToUnicode(written)
        again = idna.ToASCII(shown).decode("ascii")
    except UnicodeError:
        return None
    # An ASCII label may stand for signs that its owner could not be shown, nor type again.
    lettered = all(text.isascii() or all(map(_is_letter, text)) for text in (label, shown))
    return written if lettered and again == written and _LABEL.fullmatch(written) else None


def _is_letter(character: str) -> bool:
    return (
        character not in _DEVIATIONS and ord(character) not in UNSEEN and (character == "-" or unicodedata.category(character)[0] in "LMN")
    )
