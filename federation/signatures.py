"""Decides what this package needs of whoever holds keys; a signing ring has both shapes."""

from typing import Any, Protocol


class Signer(Protocol):
    """Signs with our federation keys, which are not the protocol keys."""

    @property
    def jwks(self) -> bytes:
        """The JWK set of our federation keys as JSON, public parts only."""

    def sign(self, algorithm: str, claims: bytes, typ: str = "JWT") -> str:
        """Return the compact JWS of ``claims`` with ``kid`` and ``typ`` in its header."""


class Verifier(Protocol):
    """Verifies with the keys trusted for one entity: its superior's word, or our own configuration for an anchor."""

    def verify(self, token: str, typ: str | None = None) -> dict[str, Any]:
        """Return the claims if one of these keys signed ``token``, with its own algorithm and ``typ``; else raise, in its own way."""
