"""Decides what answers of authorities amount to: enough to open an account and at which level, or what is still missing (S34)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.proofing_items import ITEM_OF, NEEDED


@dataclass(frozen=True)
class CheckAnswer:
    """What one authority said, and when.

    ``until``: when a check that was LIMITED may be asked again; None when it may not be today.
    """

    kind: CheckKind
    result: CheckResult
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class Proved:
    """Enough items match. ``ial`` is 3 only when one of them binds the phone that receives the codes (domain.md "Levels")."""

    ial: int


@dataclass(frozen=True)
class Short:
    """Too few items match. ``missing`` more are needed; ``awaited`` are those whose authority did not answer."""

    missing: int
    awaited: tuple[CheckKind, ...]


def list_matched(answers: Iterable[CheckAnswer]) -> frozenset[CheckKind]:
    """Return the kinds that matched; a later answer never takes a match away."""
    return frozenset(a.kind for a in answers if a.result is CheckResult.MATCH)


def judge_items(answers: Iterable[CheckAnswer], awaited: Iterable[CheckKind] = (), *, bank_names_phone: bool = False) -> Proved | Short:
    """Return whether the items suffice.

    ``bank_names_phone``: the bank was asked with four factors and the phone it named is the one that receives the codes.
    """
    matched = list_matched(answers) & ITEM_OF.keys()
    if len(matched) >= NEEDED:
        binds = CheckKind.PHONE in matched or (bank_names_phone and CheckKind.BANK_CARD in matched)
        return Proved(3 if binds else 2)
    return Short(NEEDED - len(matched), tuple(kind for kind in ITEM_OF if kind in set(awaited) - matched))


def judge_raising(
    ial: int,
    earlier: Iterable[CheckKind],
    answers: Iterable[CheckAnswer],
    awaited: Iterable[CheckKind] = (),
    *,
    bank_names_phone: bool = False,
) -> Proved | Short:
    """Return whether somebody with an account reaches level 3.

    What matched when the account was opened (``earlier``) still counts as an item; what binds the phone is asked anew, and is all that is
    asked of somebody at level 3 already.
    """
    fresh = list_matched(answers) & ITEM_OF.keys()
    binds = CheckKind.PHONE in fresh or (bank_names_phone and CheckKind.BANK_CARD in fresh)
    known = len(fresh | (frozenset(earlier) & ITEM_OF.keys()))
    missing = 0 if ial >= 3 else max(0, NEEDED - known)
    if binds and not missing:
        return Proved(3)
    return Short(max(missing, 0 if binds else 1), tuple(kind for kind in ITEM_OF if kind in set(awaited) - fresh))


def plan_items(offered: Mapping[CheckKind, str], answers: Iterable[CheckAnswer]) -> dict[CheckKind, str]:
    """Return what to ask: the offered items that have not matched yet, each once, in the order of the table."""
    matched = list_matched(answers)
    return {kind: offered[kind] for kind in ITEM_OF if kind in offered and kind not in matched}


def name_attempt(answers: Iterable[CheckAnswer], kind: CheckKind) -> int:
    """Return the number of the next attempt of a kind: what was answered is over, what was not is asked again under the same number."""
    return 1 + sum(1 for a in answers if a.kind is kind)
