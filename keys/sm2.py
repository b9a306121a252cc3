"""Decides how SM2 signs: SM3 over ZA and the message (GB/T 32918.2), by the system's libcrypto, r ‖ s as JWS has it.

``cryptography`` has no SM2, so the functions of OpenSSL 3 are called by ctypes, which lets other threads run meanwhile. The signer's id is
the one that everybody uses where none is agreed: 1234567812345678 (GM/T 0009 §10); OpenSSL's own default is the empty one.
"""

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

SM2_SIGNATURE = "SGD_SM3_SM2"
"""The name in GM/T 0125; IANA's registry has none, and ES256 must not be used for it."""

SIGNER_ID = b"1234567812345678"
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123

_OPENSSL_3 = 3 << 28
_OID = bytes.fromhex("06082a811ccf5501822d")
_SPKI = bytes.fromhex("3059301306072a8648ce3d0201") + _OID + bytes.fromhex("03420004")
"""What stands before x ‖ y in a SubjectPublicKeyInfo (RFC 8998 §3.3.2 names the curve)."""
_PKCS8 = bytes.fromhex("308187020100301306072a8648ce3d0201") + _OID + bytes.fromhex("046d306b0201010420")
_PKCS8_PUBLIC = bytes.fromhex("a14403420004")
"""Before d, and between d and x ‖ y, in a PKCS #8 (RFC 5958, RFC 5915 §3)."""

_Pointer = ctypes.c_void_p


@cache
def _open_libcrypto() -> Any:
    """Return the system's libcrypto with the signatures of what is called here; UnsupportedAlgorithm when it has no SM2."""
    try:
        lib = _load_library()
        _demand(lib.OpenSSL_version_num() & 0xFFFFFFFF >= _OPENSSL_3)
        for function, result, *arguments in _FUNCTIONS:
            bound = getattr(lib, function)
            bound.restype, bound.argtypes = result, arguments
        probe = lib.EVP_PKEY_CTX_new_from_name(None, b"SM2", None)
        lib.EVP_PKEY_CTX_free(probe)
        _demand(bool(probe))
    except (OSError, AttributeError):
        _demand(False)
    return lib


def _demand(done: bool) -> None:
    if not done:
        raise UnsupportedAlgorithm("SM2 needs the libcrypto of OpenSSL 3 or newer, built with SM2 and SM3")


def _load_library() -> Any:
    try:
        return ctypes.CDLL("libcrypto.so.3")
    except OSError:
        return ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so")


_Size, _Int, _Text, _Long = ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p, ctypes.c_long
_FUNCTIONS: tuple[tuple[Any, ...], ...] = (
    ("d2i_AutoPrivateKey", _Pointer, _Pointer, _Pointer, _Long),
    ("d2i_PUBKEY", _Pointer, _Pointer, _Pointer, _Long),
    ("i2d_PUBKEY", _Int, _Pointer, _Pointer),
    ("EVP_PKEY_free", None, _Pointer),
    ("EVP_PKEY_is_a", _Int, _Pointer, _Text),
    ("EVP_PKEY_CTX_new", _Pointer, _Pointer, _Pointer),
    ("EVP_PKEY_CTX_new_from_name", _Pointer, _Pointer, _Text, _Text),
    ("EVP_PKEY_CTX_free", None, _Pointer),
    ("EVP_PKEY_CTX_set1_id", _Int, _Pointer, _Text, _Size),
    ("EVP_PKEY_keygen_init", _Int, _Pointer),
    ("EVP_PKEY_generate", _Int, _Pointer, _Pointer),
    ("EVP_PKEY_get_bn_param", _Int, _Pointer, _Text, _Pointer),
    ("BN_bn2binpad", _Int, _Pointer, _Pointer, _Int),
    ("BN_clear_free", None, _Pointer),
    ("EVP_MD_CTX_new", _Pointer),
    ("EVP_MD_CTX_free", None, _Pointer),
    ("EVP_MD_CTX_set_pkey_ctx", None, _Pointer, _Pointer),
    ("EVP_sm3", _Pointer),
    ("EVP_DigestSignInit", _Int, _Pointer, _Pointer, _Pointer, _Pointer, _Pointer),
    ("EVP_DigestSign", _Int, _Pointer, _Pointer, _Pointer, _Text, _Size),
    ("EVP_DigestVerifyInit", _Int, _Pointer, _Pointer, _Pointer, _Pointer, _Pointer),
    ("EVP_DigestVerify", _Int, _Pointer, _Text, _Size, _Text, _Size),
    ("ERR_clear_error", None),
)


class _Key:
    """An EVP_PKEY of the library; freed with the object. Several threads may use it: every call has a context of its own."""

    __slots__ = ("handle", "lib")

    def __init__(self, lib: Any, handle: int | None) -> None:
        self.lib, self.handle = lib, handle
        if not handle or lib.EVP_PKEY_is_a(handle, b"SM2") != 1:
            lib.ERR_clear_error()
            raise ValueError("not an SM2 key")

    def __del__(self) -> None:
        if self.handle:
            self.lib.EVP_PKEY_free(self.handle)

    @contextmanager
    def begin(self, init: str) -> Iterator[Any]:
        """Yield a digest context for one signature or one verification, which knows the signer's id."""
        lib = self.lib
        context, key_context = lib.EVP_MD_CTX_new(), lib.EVP_PKEY_CTX_new(self.handle, None)
        try:
            # The id has to be known before the beginning: ZA is the first thing that is hashed.
            _demand(lib.EVP_PKEY_CTX_set1_id(key_context, SIGNER_ID, len(SIGNER_ID)) > 0)
            lib.EVP_MD_CTX_set_pkey_ctx(context, key_context)
            _demand(getattr(lib, init)(context, None, lib.EVP_sm3(), None, self.handle) == 1)
            yield context
        finally:
            lib.EVP_MD_CTX_free(context)
            lib.EVP_PKEY_CTX_free(key_context)
            lib.ERR_clear_error()


class Sm2PrivateKey:
    """A private key of the recommended curve; ``x`` and ``y`` are its public point, 32 bytes each."""

    __slots__ = ("_d", "_key", "x", "y")

    def __init__(self, d: bytes, x: bytes, y: bytes) -> None:
        if len(d) != 32 or len(x) != 32 or len(y) != 32 or not 1 <= int.from_bytes(d, "big") <= ORDER - 2:
            raise ValueError("not an SM2 key")
        lib, der = _open_libcrypto(), _PKCS8 + d + _PKCS8_PUBLIC + x + y
        self._key = _Key(lib, lib.d2i_AutoPrivateKey(None, _point_at(der), len(der)))
        self._d, self.x, self.y = d, x, y

    @classmethod
    def generate(cls) -> "Sm2PrivateKey":
        """Return a new key by the library's own generator; UnsupportedAlgorithm where there is no SM2."""
        lib = _open_libcrypto()
        context, handle, number = lib.EVP_PKEY_CTX_new_from_name(None, b"SM2", None), _Pointer(), _Pointer()
        try:
            _demand(lib.EVP_PKEY_keygen_init(context) == 1 and lib.EVP_PKEY_generate(context, ctypes.byref(handle)) == 1)
        finally:
            lib.EVP_PKEY_CTX_free(context)
        key = _Key(lib, handle.value)
        d, public = ctypes.create_string_buffer(32), ctypes.create_string_buffer(len(_SPKI) + 64)
        lib.EVP_PKEY_get_bn_param(key.handle, b"priv", ctypes.byref(number))
        lib.BN_bn2binpad(number, d, 32)
        lib.BN_clear_free(number)
        lib.i2d_PUBKEY(key.handle, _point_at(public))
        return cls(d.raw, public.raw[-64:-32], public.raw[-32:])

    @classmethod
    def from_pkcs8(cls, der: bytes) -> "Sm2PrivateKey":
        """Return the key that ``to_pkcs8`` wrote; ValueError for every other text."""
        d_end = len(_PKCS8) + 32
        middle, point = der[d_end : d_end + len(_PKCS8_PUBLIC)], der[d_end + len(_PKCS8_PUBLIC) :]
        if not der.startswith(_PKCS8) or middle != _PKCS8_PUBLIC or len(point) != 64:
            raise ValueError("not an SM2 key")
        return cls(der[len(_PKCS8) : d_end], point[:32], point[32:])

    def to_pkcs8(self) -> bytes:
        """Return the key as PKCS #8, which openssl reads too."""
        return _PKCS8 + self._d + _PKCS8_PUBLIC + self.x + self.y

    def sign(self, message: bytes) -> bytes:
        """Return r ‖ s, 32 bytes each; takes about 0.7 ms."""
        with self._key.begin("EVP_DigestSignInit") as context:
            signature, size = ctypes.create_string_buffer(80), _Size(80)
            _demand(self._key.lib.EVP_DigestSign(context, signature, ctypes.byref(size), message, len(message)) == 1)
        r, s = decode_dss_signature(signature.raw[: size.value])
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Sm2PublicKey:
    """A public key of the recommended curve; ValueError when x, y are no point of it."""

    __slots__ = ("_key",)

    def __init__(self, x: bytes, y: bytes) -> None:
        if len(x) != 32 or len(y) != 32:
            raise ValueError("not an SM2 key")
        lib, der = _open_libcrypto(), _SPKI + x + y
        self._key = _Key(lib, lib.d2i_PUBKEY(None, _point_at(der), len(der)))

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether r ‖ s signs ``message``; r and s outside [1, n-1] are refused before the library sees them (GB/T 32918.2 §7.1)."""
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        if len(signature) != 64 or not (1 <= r < ORDER and 1 <= s < ORDER):
            return False
        der = encode_dss_signature(r, s)
        with self._key.begin("EVP_DigestVerifyInit") as context:
            verified: int = self._key.lib.EVP_DigestVerify(context, der, len(der), message, len(message))
        return verified == 1


def _point_at(buffer: Any) -> Any:
    """Return a pointer to a pointer to the bytes, as d2i and i2d take it."""
    return ctypes.byref(ctypes.c_char_p(buffer) if isinstance(buffer, bytes) else ctypes.c_void_p(ctypes.addressof(buffer)))
