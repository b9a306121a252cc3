"""Decides what of a registration its pages may say: masked, grouped for reading, and never which item did not agree."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.proofing import CheckAnswer, list_matched
from idp.people.rules.proofing_items import ITEMS, ProofingItem
from idp.people.services.agreements import Agreement

_HEADING = "# "


@dataclass(frozen=True)
class Section:
    """A part of the agreement; the last lines of a text may have no heading."""

    heading: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class ItemsView:
    """The state of the items. ``done`` and ``waiting`` are kinds by value; ``open`` are the items that may (still) be given.

    ``done`` is empty and only ``count`` is told once an authority said no: naming what matched would name what did not.
    """

    done: tuple[str, ...]
    count: int
    waiting: tuple[str, ...]
    open: tuple[ProofingItem, ...]


def view_items(answers: Iterable[CheckAnswer], pending: Iterable[CheckKind], serves: Callable[[CheckKind], bool]) -> ItemsView:
    """Return what the page of the items says. ``serves`` tells whether any authority can be asked about a kind."""
    known = tuple(answers)
    matched = list_matched(known)
    names = not has_said_no(known)
    awaited = frozenset(pending) - matched
    items = [item for item in ITEMS if serves(item.kind)]
    done = [item.kind.value for item in ITEMS if item.kind in matched]
    return ItemsView(
        done=tuple(done) if names else (),
        count=len(done),
        waiting=tuple(item.kind.value for item in ITEMS if item.kind in awaited),
        open=tuple(item for item in items if item.kind not in awaited and not (names and item.kind in matched)),
    )


def has_said_no(answers: Iterable[CheckAnswer]) -> bool:
    """Tell whether an item was answered otherwise than by a match."""
    return any(a.kind is not CheckKind.IDENTITY and a.result is not CheckResult.MATCH for a in answers)


def group_number(masked: str) -> str:
    """Return a document number in groups for reading back: 6, 8 and 4 of eighteen (GB 11643), others as they are."""
    return f"{masked[:6]} {masked[6:14]} {masked[14:]}" if len(masked) == 18 else masked


def lay_out(agreement: Agreement) -> list[Section]:
    """Return the agreement's sections: ``# `` begins a heading, every other line that is not empty is a paragraph."""
    sections: list[Section] = []
    heading, paragraphs = "", list[str]()

    def close() -> None:
        if heading or paragraphs:
            sections.append(Section(heading, tuple(paragraphs)))

    for line in agreement.text.splitlines():
        text = line.strip()
        if text.startswith(_HEADING):
            close()
            heading, paragraphs = text.removeprefix(_HEADING).strip(), []
        elif text:
            paragraphs.append(text)
    close()
    return sections
