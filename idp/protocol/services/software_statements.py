"""Decides what a software statement says: nothing, until an issuer that the operator trusts has signed it (RFC 7591 §2.3)."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json
from idp.protocol.rules.algorithms import CLIENT_SIGNING
from keys import ForeignKeySet, InvalidSignature, UnusableKeySet, read_foreign_token, read_key_set, verify_with_keys

NOT_METADATA = frozenset({"iss", "iat", "exp", "nbf", "jti", "aud", "sub", "software_statement"})


TYPES: Final = ("", "JWT", "software-statement+jwt")
"""What a statement's header may say of its type. RFC 7591 names none; those of other JWTs are none of ours (RFC 8725 §3.11)."""

MAX_AGE: Final = timedelta(days=366)
"""How old a statement may be: what was vouched for earlier is asked for again."""

TOLERANCE: Final = 60
"""Seconds that the issuer's clock may be ahead of ours."""


class UnusableIssuer(Exception):
    """The key file of a statement issuer cannot be used; the text is one sentence for the operator."""


def read_issuers(files: Mapping[str, str]) -> dict[str, ForeignKeySet]:
    """Return issuer → its keys, of issuer → the file with its JWK set. Raises UnusableIssuer."""
    found = {}
    for issuer, file in files.items():
        try:
            found[issuer] = read_key_set(Path(file).read_bytes())
        except OSError as error:
            raise UnusableIssuer(f"The key file {file} of {issuer} cannot be read: {error.strerror}.") from None
        except UnusableKeySet as error:
            raise UnusableIssuer(f"The key file {file} of {issuer} holds no JWK set: {error}.") from None
        if not found[issuer].keys:
            raise UnusableIssuer(f"The key file {file} of {issuer} has no key that we use.")
    return found


class SoftwareStatements:
    """Reads statements of the trusted issuers. ``audiences``: what those that name an audience may name."""

    def __init__(self, issuers: Mapping[str, ForeignKeySet], audiences: Collection[str], clock: Clock) -> None:
        self._audiences = frozenset(audiences)
        self._issuers = issuers
        self._clock = clock

    def read(self, statement: object) -> tuple[str, dict[str, Json]]:
        """Return the issuer and the metadata it vouches for.

        Raises ProtocolError ``invalid_software_statement`` for what does not hold, ``unapproved_software_statement`` for a stranger's.
        """
        try:
            if not isinstance(statement, str):
                raise InvalidSignature("not a text")
            token = read_foreign_token(statement)
            issuer = token.claims.get("iss")
            keys = self._issuers.get(issuer) if isinstance(issuer, str) else None
            if keys is None:
                raise ProtocolError("unapproved_software_statement", "The issuer of the software statement is not trusted here.")
            verify_with_keys(token, keys, CLIENT_SIGNING, TYPES)
        except InvalidSignature as fault:
            raise _refuse(str(fault)) from None
        self._check_audience(token.claims.get("aud"))
        self._check_times(token.claims)
        return str(issuer), _read_metadata(token.claims)

    def _check_audience(self, audience: object) -> None:
        """Refuse a statement for somebody else alone (RFC 7519 §4.1.3); one that names nobody is for whoever trusts its issuer."""
        named = audience if isinstance(audience, list) else [audience]
        if audience is not None and not any(isinstance(name, str) and name in self._audiences for name in named):
            raise _refuse("it is for somebody else")

    def _check_times(self, claims: Mapping[str, Json]) -> None:
        now = self._clock().timestamp()
        issued_at, ends_at, begins_at = (_read_instant(claims, name) for name in ("iat", "exp", "nbf"))
        if issued_at is None or ends_at is None:
            raise _refuse("it needs iat and exp")
        if issued_at > now + TOLERANCE or now >= ends_at or (begins_at is not None and now < begins_at):
            raise _refuse("its time is not now")
        if issued_at < now - MAX_AGE.total_seconds():
            raise _refuse("it is too old")


def recall_metadata(statement: str) -> dict[str, Json]:
    """Return what a statement vouches for that was read before: it goes on vouching when its own time is over."""
    return _read_metadata(read_foreign_token(statement).claims)


def _read_metadata(claims: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in claims.items() if name not in NOT_METADATA}


def _read_instant(claims: Mapping[str, Json], name: str) -> float | None:
    instant = claims.get(name)
    if instant is None:
        return None
    if isinstance(instant, bool) or not isinstance(instant, (int, float)):
        raise _refuse(f"{name} is no instant")
    return instant


def _refuse(hint: str) -> ProtocolError:
    return ProtocolError("invalid_software_statement", "The software statement does not hold.", hint, redirectable=False)
