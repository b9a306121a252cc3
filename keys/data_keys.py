"""Decides which key serves which purpose: data keys are stored per purpose, and each use of one derives its own (HKDF, RFC 5869)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keys.bearer import BearerSealer
from keys.blind_index import BlindIndex
from keys.envelope import Sealer, SealerRandom
from keys.errors import MissingKey
from keys.mac import Mac

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
)
"""Every purpose; a database is complete when each has a key."""


@dataclass(frozen=True)
class DataKey:
    """One unwrapped data key: ``material`` is 32 random bytes."""

    id: str
    purpose: str
    material: bytes = field(repr=False)


class DataKeys:
    """The data keys of the process, by purpose. Give them oldest first: the newest of a purpose is current."""

    __slots__ = ("_by_purpose",)

    def __init__(self, materials: Sequence[DataKey]) -> None:
        self._by_purpose: dict[str, dict[str, bytes]] = {}
        for key in materials:
            if key.purpose not in DATA_KEY_PURPOSES or len(key.material) != DATA_KEY_SIZE:
                raise ValueError(f"data key {key.id!r} has an unknown purpose or is not {DATA_KEY_SIZE} bytes")
            self._by_purpose.setdefault(key.purpose, {})[key.id] = key.material

    @property
    def missing_purposes(self) -> tuple[str, ...]:
        """The purposes that have no key yet."""
        return tuple(purpose for purpose in DATA_KEY_PURPOSES if purpose not in self._by_purpose)

    def sealer(self, purpose: str) -> Sealer:
        """Return what seals fields of ``purpose``; MissingKey when it has no key (all four alike)."""
        return Sealer(*self._derive(purpose, "seal"))

    def bearer(self, purpose: str, random: SealerRandom) -> BearerSealer:
        """Return what seals the bearer values of ``purpose``."""
        return BearerSealer(*self._derive(purpose, "bearer"), random)

    def index(self, purpose: str) -> BlindIndex:
        """Return the blind index of ``purpose``."""
        return BlindIndex(*self._derive(purpose, "index"))

    def mac(self, purpose: str) -> Mac:
        """Return what authenticates data of ``purpose``."""
        return Mac(*self._derive(purpose, "mac"))

    def _derive(self, purpose: str, use: str) -> tuple[Mapping[str, bytes], str]:
        # One stored key, several algorithms: each gets its own derived key, so none can weaken another.
        stored = self._by_purpose.get(purpose)
        if not stored:
            raise MissingKey(purpose)
        info = f"yizheng data key 1\0{purpose}\0{use}".encode()
        return {key_id: HKDFExpand(SHA256(), 32, info).derive(material) for key_id, material in stored.items()}, list(stored)[-1]
