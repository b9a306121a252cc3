"""Decides how keys say no: one error per question a caller asks, and never the reason a forger would like to read."""


class Unsealable(Exception):
    """The sealed value is not ours, not whole, of another kind or place, or its key is gone."""


class InvalidSignature(Exception):
    """The token is not signed by one of our usable keys in the way it claims. The text is for logs, it holds nothing of the token."""


class UnknownKey(InvalidSignature):
    """The sender's key set, as far as it is known, has no key of that name for that algorithm: it may have a newer one."""


class UnusableKeySet(Exception):
    """A client's key set cannot be used as a whole; the text is a reason that its owner may read."""


class UnusableCertificate(Exception):
    """The bytes are no certificate that we read; the text is a reason."""


class CannotEncrypt(Exception):
    """There is no key, or no offered algorithm, to encrypt to somebody with; the text is a reason that its owner may read."""


class NoSigningKey(Exception):
    """No active key signs with that algorithm."""


class MissingKey(Exception):
    """A key that the caller named, or that a purpose needs, does not exist."""


class UnusableKeyFile(Exception):
    """The file of the key-encryption key is absent, readable by others, or not 32 bytes of base64url."""


class MissingProvider(Exception):
    """A signing key lies in a device that the settings do not name; the text is the provider's name."""


class UnusableToken(Exception):
    """The PKCS #11 device does not answer, does not let us in, or cannot do what is asked; the text says which."""


class UntrustedKeyRecord(Exception):
    """A stored signing key does not agree with itself, or was not written by an owner of the key-encryption key."""


class IllegalKeyTransition(Exception):
    """The state table of signing keys has no row for this event in this state."""


class SelfTestFailed(Exception):
    """An algorithm did not reproduce its published vector; nothing may be served."""
