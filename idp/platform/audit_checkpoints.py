"""Decides what is known of the audit chain outside the database: signed checkpoints, appended to a file and forced to the disk.

One line is one checkpoint: a compact JWS of type ``audit-checkpoint+jwt``. Each names the SHA-256 of the line before it, so the newest line
that a present key signed vouches for all before it, whose own keys may be retired by then, and no line in the middle can go unnoticed. What
is newer than the last copy of the file is only as safe as this machine: copy it elsewhere.
"""

import fcntl
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from idp.kernel.clock import Clock
from idp.kernel.ids import decode_base64url
from idp.platform.audit_chain import ChainHead
from idp.platform.audit_log import EPOCH, MICROSECOND

TYPE = "audit-checkpoint+jwt"
MAXIMUM_LINE = 4_096

RECENT = 4_096
"""How many lines, from the end, are asked for a signature of ours; nearly always the first one has it."""

_encode = msgspec.json.Encoder().encode


class Signer(Protocol):
    """Signs claims (JSON bytes) as a compact JWS."""

    def sign(self, claims: bytes) -> str:
        """Return the JWS."""
        ...


class Verifier(Protocol):
    """Verifies a compact JWS."""

    def verify(self, token: str) -> dict[str, Any]:
        """Return its claims; any exception means that it is not ours."""
        ...


class _Ring(Protocol):
    def sign(self, algorithm: str, claims: bytes, typ: str = ...) -> str: ...
    def verify_past(self, token: str, typ: str | None = ...) -> dict[str, Any]: ...


class RingSigner:
    """Signs and verifies checkpoints with the ES256 key of a signing ring."""

    def __init__(self, ring: _Ring) -> None:
        self._ring = ring

    def sign(self, claims: bytes) -> str:
        """Return the JWS of ``claims``."""
        return self._ring.sign("ES256", claims, TYPE)

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a checkpoint of ours, its key possibly retired lately; InvalidSignature otherwise."""
        return self._ring.verify_past(token, TYPE)


class _Claims(msgspec.Struct, frozen=True):
    seq: int
    hash: str
    count: int
    at: int
    chained_to: int
    previous: str


class ChainContradictsCheckpoint(Exception):
    """The chain is shorter than its last checkpoint, or another one: run ``idp audit verify``."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """At ``at`` the chain had ``count`` links, the last one ``seq`` with ``hash``, whose event happened at ``chained_to``.

    ``previous`` is the SHA-256 of the line before (hex), empty on the first line.
    """

    seq: int
    hash: str
    count: int
    at: datetime
    chained_to: datetime
    previous: str

    def to_claims(self) -> bytes:
        """Return the claims as JSON; instants are microseconds since 1970."""
        at, chained_to = ((instant - EPOCH) // MICROSECOND for instant in (self.at, self.chained_to))
        return _encode(_Claims(self.seq, self.hash, self.count, at, chained_to, self.previous))

    @classmethod
    def from_claims(cls, claims: dict[str, Any]) -> "Checkpoint":
        """Return the checkpoint of verified claims; ValueError when they are not one."""
        try:
            read = msgspec.convert(claims, _Claims)
            at, chained_to = (EPOCH + read_at * MICROSECOND for read_at in (read.at, read.chained_to))
        except (msgspec.ValidationError, OverflowError):
            raise ValueError("not a checkpoint") from None
        return cls(read.seq, read.hash, read.count, at, chained_to, read.previous)


@dataclass(frozen=True, slots=True)
class CheckpointLine:
    """One line of the file. ``checkpoint`` is None when nothing vouches for it, ``linked`` False when a line before it is gone."""

    number: int
    checkpoint: Checkpoint | None
    linked: bool


class CheckpointFile:
    """The file of checkpoints of one machine. Blocking: call it in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_empty(self) -> bool:
        """Tell whether no line was ever written: there is no file, or a crash came between making it and writing to it."""
        return not self._path.exists() or self._path.stat().st_size == 0

    def append(self, head: ChainHead, signer: Signer, clock: Clock) -> Checkpoint | None:
        """Write a checkpoint of ``head`` and force it to the disk; None when the last line already says it.

        Raises ChainContradictsCheckpoint when the last line knows more, or otherwise, than the chain.
        """
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            line, last, whole = _read_last(descriptor)
            if last is not None:
                if last.seq > head.seq or (last.seq == head.seq and last.hash != head.hash.hex()):
                    raise ChainContradictsCheckpoint(f"the last checkpoint is at seq {last.seq}, the chain ends at {head.seq}")
                if last.seq == head.seq:
                    return None
            checkpoint = Checkpoint(head.seq, head.hash.hex(), head.seq, clock(), head.event_at, _digest(line) if line else "")
            # A torn line of a crash is closed, not cut: the file may be append-only by attribute.
            text = ("" if whole else "\n") + signer.sign(checkpoint.to_claims()) + "\n"
            written = os.write(descriptor, text.encode("ascii"))
            if written != len(text):
                raise OSError("the checkpoint was written in part")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not line:
            _sync_folder(self._path.parent)
        return checkpoint

    def read(self, verifier: Verifier) -> Iterator[CheckpointLine]:
        """Yield every line in order, one in memory at a time; nothing when there is no file."""
        newest, break_at = self._find_trust(verifier)
        previous = ""
        for number, line in self._read_lines():
            said = _parse(line)
            trusted = said is not None and (break_at <= number <= newest or _is_signed(line, verifier))
            yield CheckpointLine(number, said if trusted else None, said is None or not trusted or said.previous == previous)
            if said is not None:
                previous = _digest(line)

    def _find_trust(self, verifier: Verifier) -> tuple[int, int]:
        """Return the newest line that is signed by a key of ours, and the line of the last broken link before it (1 when none is).

        The lines between them need no look at their own signatures.
        """
        newest, break_at, breaks = 0, 1, [1]
        previous = ""
        recent: deque[tuple[int, bytes]] = deque(maxlen=RECENT)
        for number, line in self._read_lines():
            if (checkpoint := _parse(line)) is None:
                continue
            if checkpoint.previous != previous:
                breaks.append(number)
            previous = _digest(line)
            recent.append((number, line))
        for number, line in reversed(recent):
            if _is_signed(line, verifier):
                newest = number
                break_at = max(broken for broken in breaks if broken <= newest)
                break
        return newest, break_at

    def _read_lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            yield from enumerate(_split(file.readline), start=1)


def _split(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield lines without their ends; of an over-long one only the first part, which then is no checkpoint."""
    while piece := readline(MAXIMUM_LINE):
        line = piece
        while piece and not piece.endswith(b"\n"):
            piece = readline(MAXIMUM_LINE)
        if line := line.rstrip(b"\n"):
            yield line


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _parse(line: bytes) -> Checkpoint | None:
    """Return what a line says, without asking who signed it; None when it says no checkpoint."""
    try:
        _, payload, _ = line.decode("ascii").split(".")
        claims = msgspec.json.decode(decode_base64url(payload), type=dict[str, Any])
        return Checkpoint.from_claims(claims)
    except (ValueError, RecursionError):
        return None


def _is_signed(line: bytes, verifier: Verifier) -> bool:
    try:
        verifier.verify(line.decode("ascii"))
    except Exception:  # whatever is wrong with it, it is not signed by a key of ours
        return False
    return True


def _read_last(descriptor: int) -> tuple[bytes, Checkpoint | None, bool]:
    """Return the last line that says a checkpoint, the checkpoint, and whether the file ends with a whole line."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return b"", None, True
    start = max(0, size - 4 * MAXIMUM_LINE)
    tail = os.pread(descriptor, 4 * MAXIMUM_LINE, start)
    lines = tail.split(b"\n")
    for line in reversed(lines if start == 0 else lines[1:]):
        if line and (checkpoint := _parse(line)):
            return line, checkpoint, tail.endswith(b"\n")
    return b"", None, tail.endswith(b"\n")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
