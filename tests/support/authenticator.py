"""An authenticator in software that signs what a test wants, right or wrong: ES256, no attestation, with user verification."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from idp.kernel.clock import read_system_random
from idp.kernel.ids import decode_base64url, encode_base64url

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


@dataclass
class Authenticator:
    """One key for one account. Fields are what it says of itself; a test changes them to lie."""

    origin: str
    rp_id: str
    flags: int = UP | UV | BE | BS
    counter: int = 0
    step: int = 1
    algorithm: int = -7
    cross_origin: bool = False
    fmt: str = "none"
    statement: dict[str, Any] = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: read_system_random(32))
    user_handle: bytes | None = None

    def make(self, options: str, **changes: Any) -> str:
        """Return what a browser posts after ``navigator.credentials.create``; ``changes`` go into the client's data."""
        asked = json.loads(options)
        self.user_handle = decode_base64url(asked["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: self.algorithm, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cbor2.dumps(public)
        data = self._write_data(self.flags | AT) + attested
        statement = {"fmt": self.fmt, "attStmt": self.statement, "authData": data}
        response = {
            "clientDataJSON": encode_base64url(self._write_client("webauthn.create", asked["challenge"], changes)),
            "attestationObject": encode_base64url(cbor2.dumps(statement)),
            "transports": ["internal", "hybrid", "made-up"],
        }
        return self._write(response)

    def use(self, options: str, change: Callable[[dict[str, Any]], object] | None = None, **changes: Any) -> str:
        """Return what a browser posts after ``navigator.credentials.get``; ``change`` may alter the answer after it was signed."""
        asked = json.loads(options)
        self.counter += self.step
        data = self._write_data(self.flags)
        client = self._write_client("webauthn.get", asked["challenge"], changes)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response: dict[str, Any] = {
            "clientDataJSON": encode_base64url(client),
            "authenticatorData": encode_base64url(data),
            "signature": encode_base64url(signature),
            "userHandle": encode_base64url(self.user_handle) if self.user_handle is not None else None,
        }
        if change is not None:
            change(response)
        return self._write(response)

    def _write_data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _write_client(self, kind: str, challenge: str, changes: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin, **changes}
        return json.dumps(said).encode()

    def _write(self, response: dict[str, Any]) -> str:
        name = encode_base64url(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
