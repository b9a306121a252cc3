"""Decides how a PKCS #11 device makes keys and signs with them: what is private is made there, stays there and is destroyed there."""

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from keys.algorithms import describe_modulus, describe_point
from keys.errors import UnusableToken
from keys.private_part import PrivatePart

PKCS11 = "pkcs11"
PKCS11_ALGORITHMS = ("ES256", "RS256", "PS256")
"""What is asked of a device; which of it a device can do, it says when a key is made."""

RSA_BITS = 2048
MAX_PIN_FILE = 1024
_STORED = b"pkcs11:"
_PROBE = b"yizheng: does this private part belong to its public one?"

Result = TypeVar("Result")


class TokenProvider:
    """One token (a partition of a device) behind the library ``module``; the pin is in a file that only the service can read.

    Calls are made one after the other: python-pkcs11 initialises a library without its locks. More serving processes sign more."""

    name = PKCS11

    def __init__(self, module: str, token: str, pin_file: Path) -> None:
        """Log in. Raises UnusableToken when the package, the library, the token or the pin is missing or wrong."""
        self._token_name = token
        self._pin = _read_pin(pin_file)
        self._lock = Lock()
        self._session: Any = None
        self._privates: dict[str, Any] = {}
        self._parts: dict[tuple[str, str], PrivatePart] = {}
        try:
            import pkcs11
            from pkcs11.util.ec import encode_named_curve_parameters
        except ImportError:
            raise UnusableToken("the package python-pkcs11 is not installed; install the extra hsm") from None
        self._api = pkcs11
        self._curve = encode_named_curve_parameters("secp256r1")
        try:
            self._library = pkcs11.lib(module)
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise UnusableToken(f"the library {module} cannot be loaded ({_describe(error)})") from None
        self._call(lambda session: None)

    def generate(self, algorithm: str) -> PrivatePart:
        """Make a key pair in the token, never to be read; ValueError for an algorithm not in PKCS11_ALGORITHMS."""
        if algorithm not in PKCS11_ALGORITHMS:
            raise ValueError(f"no signing algorithm {algorithm!r} in a PKCS #11 device; there are {', '.join(PKCS11_ALGORITHMS)}")
        api = self._api
        sign = {api.Attribute.SIGN: True, api.Attribute.SENSITIVE: True, api.Attribute.EXTRACTABLE: False}

        def make(session: Any) -> str:
            label = f"yizheng {algorithm} {session.generate_random(128).hex()}"
            named = {"id": label.encode(), "label": label, "store": True, "private_template": sign}
            if algorithm == "ES256":
                parameters = session.create_domain_parameters(api.KeyType.EC, {api.Attribute.EC_PARAMS: self._curve}, local=True)
                parameters.generate_keypair(**named)
            else:
                session.generate_keypair(api.KeyType.RSA, RSA_BITS, **named)
            return label

        return self._describe(algorithm, self._call(make))

    def load(self, algorithm: str, stored: bytes) -> PrivatePart:
        """Return what signs with the key that ``store`` named; ValueError when the token has none of this name and kind."""
        if not stored.startswith(_STORED):
            raise ValueError("not a key in a device")
        return self._describe(algorithm, stored.removeprefix(_STORED).decode())

    def destroy(self, label: str) -> None:
        """Remove both parts of a key from the token; nothing there is no error."""
        api = self._api

        def remove(session: Any) -> None:
            for kind in (api.ObjectClass.PRIVATE_KEY, api.ObjectClass.PUBLIC_KEY):
                for found in list(session.get_objects({api.Attribute.CLASS: kind, api.Attribute.LABEL: label})):
                    found.destroy()

        self._call(remove)
        self._privates.pop(label, None)
        for algorithm in PKCS11_ALGORITHMS:
            self._parts.pop((algorithm, label), None)

    def close(self) -> None:
        """Log out."""
        with self._lock:
            self._drop()

    def _describe(self, algorithm: str, label: str) -> PrivatePart:
        """Return the part of a label, its public members read from the token and tried on a signature of the private one."""
        known = self._parts.get((algorithm, label))
        if known is None:
            public, verify = self._call(lambda session: self._read_public(session, algorithm, label))
            sign, stored = self._bind(algorithm, label), _STORED + label.encode()
            known = PrivatePart(public, sign, lambda: stored, slow=True, provider=PKCS11, label=label)
            signature = known.sign(_PROBE)
            if not self._call(lambda _: verify(signature)):
                raise ValueError("the private part does not belong to the public one")
            self._parts[algorithm, label] = known
        return known

    def _read_public(self, session: Any, algorithm: str, label: str) -> tuple[dict[str, str], Callable[[bytes], bool]]:
        api = self._api
        kind = api.KeyType.EC if algorithm == "ES256" else api.KeyType.RSA
        try:
            found = session.get_key(object_class=api.ObjectClass.PUBLIC_KEY, key_type=kind, label=label)
        except (api.NoSuchKey, api.MultipleObjectsReturned):
            raise ValueError("the token has no such key") from None
        data, how = self._prepare(algorithm, _PROBE)
        if algorithm == "ES256":
            point = bytes(found[api.Attribute.EC_POINT])[-65:]  # an OCTET STRING of the uncompressed point
            if found[api.Attribute.EC_PARAMS] != self._curve or point[:1] != b"\x04":
                raise ValueError("not a key on P-256")
            public = describe_point(point[1:33], point[33:])
        else:
            n, e = (bytes(found[name]).lstrip(b"\0") for name in (api.Attribute.MODULUS, api.Attribute.PUBLIC_EXPONENT))
            if 8 * len(n) < RSA_BITS:
                raise ValueError("too short an RSA key")
            public = describe_modulus(n, e)
        return public, lambda signature: bool(found.verify(data, signature, **how))

    def _bind(self, algorithm: str, label: str) -> Callable[[bytes], bytes]:
        api = self._api

        def use(session: Any, data: bytes, how: dict[str, Any]) -> bytes:
            private = self._privates.get(label)
            if private is None:
                try:
                    private = session.get_key(object_class=api.ObjectClass.PRIVATE_KEY, label=label)
                except (api.NoSuchKey, api.MultipleObjectsReturned):
                    raise ValueError("the token has no such key") from None
                self._privates[label] = private
            return bytes(private.sign(data, **how))

        def sign(message: bytes) -> bytes:
            data, how = self._prepare(algorithm, message)
            return self._call(lambda session: use(session, data, how))

        return sign

    def _prepare(self, algorithm: str, message: bytes) -> tuple[bytes, dict[str, Any]]:
        """Return what the token signs, and by which mechanism; of ECDSA it gives r ‖ s, as JWS has it."""
        mechanism = self._api.Mechanism
        if algorithm == "ES256":
            return sha256(message).digest(), {"mechanism": mechanism.ECDSA}
        if algorithm == "RS256":
            return message, {"mechanism": mechanism.SHA256_RSA_PKCS}
        return message, {"mechanism": mechanism.SHA256_RSA_PKCS_PSS, "mechanism_param": (mechanism.SHA256, self._api.MGF.SHA256, 32)}

    def _call(self, work: Callable[[Any], Result]) -> Result:
        """Do ``work`` with the session; once more with a new one when the device forgot it. Raises UnusableToken."""
        with self._lock:
            if self._session is not None:
                try:
                    return work(self._session)
                except self._api.PKCS11Error:
                    self._drop()
            try:
                # Never twice: a wrong pin counts, and a device locks itself after a few.
                self._session = self._open()
                return work(self._session)
            except self._api.PKCS11Error as error:
                self._drop()
                raise UnusableToken(f"the token {self._token_name} refuses ({_describe(error)})") from None

    def _open(self) -> Any:
        token = self._library.get_token(token_label=self._token_name)
        try:
            return token.open(rw=True, user_pin=self._pin)
        except self._api.UserAlreadyLoggedIn:
            # Somebody else in this process is logged in, and a login is the process's, not the session's.
            return token.open(rw=True)

    def _drop(self) -> None:
        session, self._session = self._session, None
        self._privates.clear()
        if session is not None:
            with suppress(self._api.PKCS11Error):  # it was gone before
                session.close()


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__


def _read_pin(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_PIN_FILE)
    except OSError as error:
        raise UnusableToken(f"the pin's file {path} cannot be read: {error.strerror}") from None
    if mode & 0o027:
        raise UnusableToken(f"others may read the pin's file {path}; set its mode to 0600")
    try:
        pin = content.decode().strip()
    except UnicodeDecodeError:
        pin = ""
    if not pin:
        raise UnusableToken(f"the pin's file {path} holds no pin")
    return pin
