"""Decides what we can sign with: one row per algorithm says how its keys are made, read back and used, and which set publishes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_der_private_key

from keys.base64url import decode_base64url, encode_base64url
from keys.private_part import SOFTWARE, PrivatePart
from keys.sm2 import SM2_SIGNATURE, Sm2PrivateKey, Sm2PublicKey

RSA_BITS = 2048

Verify = Callable[[bytes, bytes], bool]
"""(message, signature) → whether it signs the message."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A row: ``generate`` and ``hold`` make and use a key in this process, ``load`` reads what ``hold`` stores.

    ``read_public``: public JWK → (message, signature) → whether it signs, for what joserfc has not, or only with a warning.
    ``national``: published at an address of its own, because clients that do not know the curve refuse the whole common set."""

    name: str
    generate: Callable[[], Any]
    load: Callable[[bytes], Any]
    fits: Callable[[Any], bool]
    hold: Callable[[Any], PrivatePart]
    read_public: Callable[[Mapping[str, str]], Verify] | None = None
    national: bool = False


def to_raw_signature(der: bytes) -> bytes:
    """Return r ‖ s, 32 bytes each (RFC 7518 §3.4), of the DER that the library gives for P-256: 30 len 02 len r 02 len s.

    Read by hand, because the library's decoder makes integers of them (0.6 µs against 2.2). Every length is below 128, so it is one byte; r
    and s are 1 to 33 bytes, the 33rd a zero for the sign."""
    r_end = 4 + der[3]
    return der[4:r_end][-32:].rjust(32, b"\0") + der[r_end + 2 :][-32:].rjust(32, b"\0")


def describe_point(x: bytes, y: bytes, curve: str = "P-256") -> dict[str, str]:
    """Return the public JWK members of a point of 32-byte coordinates (RFC 7518 §6.2.1)."""
    return {"kty": "EC", "crv": curve, "x": _spell(x), "y": _spell(y)}


def describe_modulus(n: bytes, e: bytes) -> dict[str, str]:
    """Return the public JWK members of an RSA key (RFC 7518 §6.3.1)."""
    return {"kty": "RSA", "n": _spell(n), "e": _spell(e)}


def _hold_p256(private: ec.EllipticCurvePrivateKey) -> PrivatePart:
    point, sign, ecdsa = private.public_key().public_numbers(), private.sign, ec.ECDSA(SHA256())
    public = describe_point(point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big"))
    return PrivatePart(public, lambda message: to_raw_signature(sign(message, ecdsa)), lambda: _write(private))


def _hold_rsa(padding: AsymmetricPadding) -> Callable[[rsa.RSAPrivateKey], PrivatePart]:
    def hold(private: rsa.RSAPrivateKey) -> PrivatePart:
        numbers, sign, digest = private.public_key().public_numbers(), private.sign, SHA256()
        public = describe_modulus(_to_bytes(numbers.n), _to_bytes(numbers.e))
        # Half a millisecond of processor time, without the interpreter's lock.
        return PrivatePart(public, lambda message: sign(message, padding, digest), lambda: _write(private), slow=True)

    return hold


def _hold_ed25519(private: ed25519.Ed25519PrivateKey) -> PrivatePart:
    x = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PrivatePart({"kty": "OKP", "crv": "Ed25519", "x": _spell(x)}, private.sign, lambda: _write(private))


def _read_ed25519(jwk: Mapping[str, str]) -> Verify:
    public = ed25519.Ed25519PublicKey.from_public_bytes(decode_base64url(jwk["x"]))

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def _read_sm2(jwk: Mapping[str, str]) -> Verify:
    return Sm2PublicKey(decode_base64url(jwk["x"]), decode_base64url(jwk["y"])).verify


def _hold_sm2(private: Sm2PrivateKey) -> PrivatePart:
    return PrivatePart(describe_point(private.x, private.y, "SM2-P-256"), private.sign, private.to_pkcs8, slow=True)


def _generate_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def _fits_rsa(key: object) -> bool:
    return isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS


def _fits_p256(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


def _fits_ed25519(key: object) -> bool:
    return isinstance(key, ed25519.Ed25519PrivateKey)


def _read(material: bytes) -> Any:
    # The library would test the primes again for 55 ms, while a process reloads its ring. Only we can have wrapped these bytes.
    return load_der_private_key(material, password=None, unsafe_skip_rsa_key_validation=True)


def _write(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _row_of_ed25519(name: str) -> Algorithm:
    return Algorithm(name, ed25519.Ed25519PrivateKey.generate, _read, _fits_ed25519, _hold_ed25519, _read_ed25519)


SIGNING_ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        row.name: row
        for row in (
            # RFC 7518 §3.4, §3.3, §3.5.
            Algorithm("ES256", lambda: ec.generate_private_key(ec.SECP256R1()), _read, _fits_p256, _hold_p256),
            Algorithm("RS256", _generate_rsa, _read, _fits_rsa, _hold_rsa(PKCS1v15())),
            Algorithm("PS256", _generate_rsa, _read, _fits_rsa, _hold_rsa(PSS(MGF1(SHA256()), SHA256.digest_size))),
            # One signature, two names: RFC 8037 §3.1, and RFC 9864 §2.2, which deprecates the first for naming no curve.
            _row_of_ed25519("EdDSA"),
            _row_of_ed25519("Ed25519"),
            # GM/T 0125.2.
            Algorithm(
                SM2_SIGNATURE,
                Sm2PrivateKey.generate,
                Sm2PrivateKey.from_pkcs8,
                lambda key: isinstance(key, Sm2PrivateKey),
                _hold_sm2,
                _read_sm2,
                national=True,
            ),
        )
    }
)
"""Name → row; the first is the default."""

ALGORITHMS = tuple(SIGNING_ALGORITHMS)
"""The names of all rows."""

STANDARD_ALGORITHMS = tuple(name for name, row in SIGNING_ALGORITHMS.items() if not row.national)
"""Those whose keys every client's library can read past, even where it cannot use them."""


class SoftwareProvider:
    """Keys that the process itself holds and the database keeps, wrapped."""

    name = SOFTWARE

    def generate(self, algorithm: str) -> PrivatePart:
        """Return a new private part made by the library's own generator; RSA takes about 0.1 s."""
        row = find_algorithm(algorithm)
        return row.hold(row.generate())

    def load(self, algorithm: str, stored: bytes) -> PrivatePart:
        """Return the private part that was stored; ValueError when it is none of this algorithm."""
        row = find_algorithm(algorithm)
        try:
            private = row.load(stored)
        except UnsupportedAlgorithm:
            raise ValueError("not a key we sign with") from None
        if not row.fits(private):
            raise ValueError("not a key we sign with")
        return row.hold(private)

    def destroy(self, label: str) -> None:
        """Nothing lies anywhere: the database's row was all."""


def find_algorithm(name: str) -> Algorithm:
    """Return a row; ValueError for a name that is not in the table."""
    try:
        return SIGNING_ALGORITHMS[name]
    except KeyError:
        raise ValueError(f"no signing algorithm {name!r}; there are {', '.join(ALGORITHMS)}") from None


def _to_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _spell(raw: bytes) -> str:
    return encode_base64url(raw).decode("ascii")
