"""Decides whether the cryptography of this machine may serve: every algorithm in use must reproduce a published vector."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature as BadSignature
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers, derive_private_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keys.algorithms import to_raw_signature
from keys.base64url import decode_base64url
from keys.errors import SelfTestFailed
from keys.mac import prepare_hmac
from keys.sm2 import Sm2PrivateKey, Sm2PublicKey
from keys.suite import Sm4Gcm, Suite


@dataclass(frozen=True)
class Check:
    """One algorithm against its vector. A library that lacks an algorithm fails the test only when we depend on it: always (``required``),
    or where keys of the national suite are in use (``national``)."""

    name: str
    run: Callable[[], bool]
    required: bool = True
    national: bool = False


@dataclass(frozen=True)
class SelfTestReport:
    """The names of the checks that passed, and of those whose algorithm this machine's libraries do not have."""

    passed: tuple[str, ...]
    unavailable: tuple[str, ...]


def _check_aes_gcm() -> bool:
    # The Galois/Counter Mode of Operation (McGrew, Viega), test case 16.
    cipher = AESGCM(bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2))
    iv, aad = bytes.fromhex("cafebabefacedbaddecaf888"), bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plaintext = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    )
    return cipher.encrypt(iv, plaintext, aad) == sealed and cipher.decrypt(iv, sealed, aad) == plaintext


def _check_aes_siv() -> bool:
    # RFC 5297 A.1.
    cipher = AESSIV(bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"))
    aad, plaintext = [bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")], bytes.fromhex("112233445566778899aabbccddee")
    sealed = bytes.fromhex("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c")
    return cipher.encrypt(plaintext, aad) == sealed and cipher.decrypt(sealed, aad) == plaintext


def _check_hmac() -> bool:
    # RFC 4231 §4.2 and §4.7 (a key longer than the block).
    short = prepare_hmac(b"\x0b" * 20)(b"Hi There")
    long = prepare_hmac(b"\xaa" * 131)(b"Test Using Larger Than Block-Size Key - Hash Key First")
    return short.hex() == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" and (
        long.hex() == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    )


def _check_hkdf() -> bool:
    # RFC 5869 A.1, the expand step.
    key = bytes.fromhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    made = HKDFExpand(SHA256(), 42, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9")).derive(key)
    return made.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


_ES256_MESSAGE = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
_ES256_SIGNATURE = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"


def _check_es256() -> bool:
    # RFC 7515 A.3. ECDSA is randomised, so our own signature is checked by verifying it.
    x, y, d = (
        int.from_bytes(decode_base64url(part), "big")
        for part in (
            "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        )
    )
    public, ecdsa = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key(), ECDSA(SHA256())
    private = derive_private_key(d, SECP256R1())
    own = to_raw_signature(private.sign(_ES256_MESSAGE, ecdsa))
    for raw in (decode_base64url(_ES256_SIGNATURE), own):
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public.verify(der, _ES256_MESSAGE, ecdsa)
    return private.public_key() == public


def _check_rs256() -> bool:
    # RFC 7515 A.2.
    modulus = decode_base64url(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b"
        "32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5"
        "IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
    )
    signature = decode_base64url(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAyn"
        "RFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
        "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    )
    message = b"eyJhbGciOiJSUzI1NiJ9" + _ES256_MESSAGE[_ES256_MESSAGE.index(b".") :]
    RSAPublicNumbers(65537, int.from_bytes(modulus, "big")).public_key().verify(signature, message, PKCS1v15(), SHA256())
    return True


_SM_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")


def _check_sm3() -> bool:
    # GB/T 32905-2016 A.1 and A.2, by the library.
    for message, expected in _SM3_VECTORS:
        digest = hashes.Hash(hashes.SM3())
        digest.update(message)
        if digest.finalize().hex() != expected:
            return False
    return True


_SM3_VECTORS = (
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
)


def _check_sm3_hashlib() -> bool:
    # The same by the standard library, whose libcrypto is another one.
    if "sm3" not in hashlib.algorithms_available:
        raise UnsupportedAlgorithm("sm3")
    return all(hashlib.new("sm3", message).hexdigest() == expected for message, expected in _SM3_VECTORS)


def _check_sm4() -> bool:
    # GB/T 32907-2016 A.1.
    encryptor = Cipher(SM4(_SM_KEY), ECB()).encryptor()  # noqa: S305 - the vector is one bare block
    return (encryptor.update(_SM_KEY) + encryptor.finalize()).hex() == "681edf34d206965e86b3e94f536e4246"


def _check_sm4_gcm() -> bool:
    # RFC 8998 A.1, both ways, by what seals.
    cipher, iv, aad = Sm4Gcm(_SM_KEY), bytes.fromhex("00001234567800000000abcd"), bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plaintext = b"".join(bytes((byte,)) * 8 for byte in b"\xaa\xbb\xcc\xdd\xee\xff\xee\xaa")
    sealed = bytes.fromhex(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec"
    )
    return cipher.encrypt(iv, plaintext, aad) == sealed and cipher.decrypt(iv, sealed, aad) == plaintext


def _check_hmac_sm3() -> bool:
    # GM/T 0042-2015 D.3, by what computes indexes and macs.
    key, message = bytes(range(1, 33)), b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" * 2
    return prepare_hmac(key, Suite.NATIONAL)(message).hex() == "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a"


def _check_sm2() -> bool:
    # The example on the recommended curve that GB/T 32918.5-2017 A.2 gives, the signer's id being 1234567812345678. A signature of our own
    # is random, so it is checked by verifying it.
    d, x, y, r, s = (bytes.fromhex(part) for part in _SM2_EXAMPLE)
    public, private = Sm2PublicKey(x, y), Sm2PrivateKey(d, x, y)
    message = b"message digest"
    refused = not public.verify(b"message digesT", r + s) and not public.verify(message, s + r)
    return refused and public.verify(message, r + s) and public.verify(message, private.sign(message))


_SM2_EXAMPLE = (
    "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8",
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020",
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13",
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3",
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa",
)


CHECKS = (
    Check("AES-256-GCM", _check_aes_gcm),
    Check("AES-SIV", _check_aes_siv),
    Check("HMAC-SHA-256", _check_hmac),
    Check("HKDF-SHA-256", _check_hkdf),
    Check("ES256", _check_es256),
    Check("RS256", _check_rs256),
    Check("SM3", _check_sm3, required=False, national=True),
    Check("SM3 (hashlib)", _check_sm3_hashlib, required=False),
    Check("HMAC-SM3", _check_hmac_sm3, required=False, national=True),
    Check("SM4", _check_sm4, required=False, national=True),
    Check("SM4-GCM", _check_sm4_gcm, required=False, national=True),
    Check("SM2", _check_sm2, required=False),
)


def run_self_test(checks: Sequence[Check] = CHECKS, *, national: bool = False) -> SelfTestReport:
    """Run every check (some milliseconds) and return the report; SelfTestFailed names the algorithm that erred or that we need and lack.

    Without ``national`` the absence of SM3 and SM4 is only reported; a wrong result of theirs is a failure all the same."""
    passed, unavailable = [], []
    for check in checks:
        try:
            right = check.run()
        except UnsupportedAlgorithm:
            if check.required or (national and check.national):
                raise SelfTestFailed(f"{check.name} is not available on this machine") from None
            unavailable.append(check.name)
            continue
        except (BadSignature, InvalidTag):
            right = False
        if not right:
            raise SelfTestFailed(f"{check.name} does not reproduce its published vector")
        passed.append(check.name)
    return SelfTestReport(tuple(passed), tuple(unavailable))
