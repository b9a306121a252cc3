"""Decides which key serves which purpose: data keys are stored per purpose, and each use of one derives its own (HKDF, RFC 5869)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keys.bearer import BearerSealer
from keys.blind_index import BlindIndex
from keys.envelope import Sealer, SealerRandom
from keys.errors import MissingKey
from keys.mac import Mac
from keys.suite import DERIVING_HASHES, SEALING_KEY_SIZES, Suite

DATA_KEY_SIZE = 32
"""Bytes of material a new data key is made of."""

DATA_KEY_PURPOSES = (
    "people",
    "outbox",
    "transients",
    "bearer",
    "index",
    "audit",
    "client_secrets",
    "codes",
    "places",
    "drafts",
    "evidence",
    "sids",
    "transient_names",
)
"""Every purpose; a database is complete when each has a key."""

NAMING_PURPOSES: Final = ("sids", "transient_names")
"""The purposes whose keys name things that are under way: under a new key nothing of them is found again, so ``all`` leaves them out."""


@dataclass(frozen=True)
class DataKey:
    """One unwrapped data key: ``material`` is 32 random bytes. A ``pending`` key opens and finds, but makes nothing yet."""

    id: str
    purpose: str
    material: bytes = field(repr=False)
    suite: Suite = Suite.INTERNATIONAL
    pending: bool = False


class _Holder(Protocol):
    def replace_keys(self, keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite]) -> None: ...


Holder = TypeVar("Holder", bound=_Holder)
Derived = tuple[dict[str, bytes], str, dict[str, Suite]]


class DataKeys:
    """The data keys of the process, by purpose. Give them oldest first: the newest of a purpose that is not pending is current.

    What it hands out stays right for the life of the process: ``replace`` gives every such object the new keys."""

    __slots__ = ("_by_purpose", "_holders")

    def __init__(self, materials: Sequence[DataKey]) -> None:
        self._by_purpose = _sort(materials)
        self._holders: list[tuple[_Holder, str, str]] = []

    @property
    def missing_purposes(self) -> tuple[str, ...]:
        """The purposes that have no key yet."""
        return tuple(purpose for purpose in DATA_KEY_PURPOSES if purpose not in self._by_purpose)

    @property
    def suites(self) -> frozenset[Suite]:
        """The suites of all keys: their algorithms must be there."""
        return frozenset(key.suite for keys in self._by_purpose.values() for key in keys)

    def list_ids(self, purpose: str) -> tuple[str, ...]:
        """Return the ids of the keys of ``purpose``, oldest first, pending ones too."""
        return tuple(key.id for key in self._by_purpose.get(purpose, ()))

    def replace(self, materials: Sequence[DataKey]) -> None:
        """Use these keys from now on, also in everything that was handed out; MissingKey, and no change, when one would be left without.

        Call it in the event loop that uses them: nobody seals while the keys change."""
        by_purpose = _sort(materials)
        derived = [(holder, _derive(by_purpose, purpose, use)) for holder, purpose, use in self._holders]
        self._by_purpose = by_purpose
        for holder, keys in derived:
            holder.replace_keys(*keys)

    def sealer(self, purpose: str) -> Sealer:
        """Return what seals fields of ``purpose``; MissingKey when it has no key (all four alike)."""
        return self._hand_out(Sealer, purpose, "seal")

    def bearer(self, purpose: str, random: SealerRandom) -> BearerSealer:
        """Return what seals the bearer values of ``purpose``."""
        return self._hand_out(lambda keys, current, suites: BearerSealer(keys, current, random, suites), purpose, "bearer")

    def index(self, purpose: str) -> BlindIndex:
        """Return the blind index of ``purpose``."""
        return self._hand_out(BlindIndex, purpose, "index")

    def mac(self, purpose: str) -> Mac:
        """Return what authenticates data of ``purpose``."""
        return self._hand_out(Mac, purpose, "mac")

    def _hand_out(self, make: Callable[[Mapping[str, bytes], str, Mapping[str, Suite]], Holder], purpose: str, use: str) -> Holder:
        made = make(*_derive(self._by_purpose, purpose, use))
        self._holders.append((made, purpose, use))
        return made


def _sort(materials: Sequence[DataKey]) -> dict[str, list[DataKey]]:
    by_purpose: dict[str, list[DataKey]] = {}
    for key in materials:
        if key.purpose not in DATA_KEY_PURPOSES or len(key.material) != DATA_KEY_SIZE:
            raise ValueError(f"data key {key.id!r} has an unknown purpose or is not {DATA_KEY_SIZE} bytes")
        by_purpose.setdefault(key.purpose, []).append(key)
    return by_purpose


def _derive(by_purpose: Mapping[str, Sequence[DataKey]], purpose: str, use: str) -> Derived:
    # One stored key, several algorithms: each gets its own derived key, so none can weaken another.
    keys = by_purpose.get(purpose, ())
    current = next((key.id for key in reversed(keys) if not key.pending), None)
    if current is None:
        raise MissingKey(purpose)
    info = f"yizheng data key 1\0{purpose}\0{use}".encode()
    derived = {}
    for key in keys:
        size = SEALING_KEY_SIZES[key.suite] if use in ("seal", "bearer") else 32
        derived[key.id] = HKDFExpand(DERIVING_HASHES[key.suite](), size, info).derive(key.material)
    return derived, current, {key.id: key.suite for key in keys}
