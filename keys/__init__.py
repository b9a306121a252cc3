"""Decides what secrets do: sealing, blind indexes, macs, signing keys and their life. Knows nothing of the identity provider around it."""

from keys.algorithms import ALGORITHMS, STANDARD_ALGORITHMS
from keys.bearer import MAX_BEARER, BearerSealer
from keys.blind_index import BlindIndex
from keys.certificates import Certificate, read_certificate
from keys.data_keys import DATA_KEY_PURPOSES, DATA_KEY_SIZE, NAMING_PURPOSES, DataKey, DataKeys
from keys.encryption import ENCRYPTION_ALGORITHMS, ENCRYPTION_METHODS, Recipient, choose_recipient, encrypt_to
from keys.envelope import MAX_PLAINTEXT, Sealer, SealerRandom, row_aad
from keys.errors import (
    CannotEncrypt,
    IllegalKeyTransition,
    InvalidSignature,
    MissingKey,
    MissingProvider,
    NoSigningKey,
    SelfTestFailed,
    UnknownKey,
    Unsealable,
    UntrustedKeyRecord,
    UnusableCertificate,
    UnusableKeyFile,
    UnusableKeySet,
    UnusableToken,
)
from keys.foreign_keys import MAX_KEY_SET, SIGNATURE_KINDS, ForeignKey, ForeignKeySet, read_key, read_key_set
from keys.foreign_tokens import ForeignToken, read_foreign_token, verify_with_keys, verify_with_own_key, verify_with_secret
from keys.key_encryption import KeyEncryptionKey, make_key_encryption_key
from keys.lifecycle import (
    KEY_TRANSITIONS,
    KeyChange,
    KeyCreation,
    KeyEvent,
    KeyState,
    draw_key_states,
    follow_key_state,
    plan_rotation,
)
from keys.mac import Mac
from keys.pkcs11 import PKCS11_ALGORITHMS, TokenProvider
from keys.private_part import KeyProvider
from keys.ring import MAX_TOKEN, Signer, SigningRing
from keys.self_test import SelfTestReport, run_self_test
from keys.signing_key import KeyProviders, SigningKey, SigningKeyRecord, carry_out_changes, generate_signing_key
from keys.sm2 import SM2_SIGNATURE
from keys.suite import Suite, hash_bytes

__all__ = [
    "ALGORITHMS",
    "DATA_KEY_PURPOSES",
    "DATA_KEY_SIZE",
    "ENCRYPTION_ALGORITHMS",
    "ENCRYPTION_METHODS",
    "KEY_TRANSITIONS",
    "MAX_BEARER",
    "MAX_KEY_SET",
    "MAX_PLAINTEXT",
    "MAX_TOKEN",
    "NAMING_PURPOSES",
    "PKCS11_ALGORITHMS",
    "SIGNATURE_KINDS",
    "SM2_SIGNATURE",
    "STANDARD_ALGORITHMS",
    "BearerSealer",
    "BlindIndex",
    "CannotEncrypt",
    "Certificate",
    "DataKey",
    "DataKeys",
    "ForeignKey",
    "ForeignKeySet",
    "ForeignToken",
    "IllegalKeyTransition",
    "InvalidSignature",
    "KeyChange",
    "KeyCreation",
    "KeyEncryptionKey",
    "KeyEvent",
    "KeyProvider",
    "KeyProviders",
    "KeyState",
    "Mac",
    "MissingKey",
    "MissingProvider",
    "NoSigningKey",
    "Recipient",
    "Sealer",
    "SealerRandom",
    "SelfTestFailed",
    "SelfTestReport",
    "Signer",
    "SigningKey",
    "SigningKeyRecord",
    "SigningRing",
    "Suite",
    "TokenProvider",
    "UnknownKey",
    "Unsealable",
    "UntrustedKeyRecord",
    "UnusableCertificate",
    "UnusableKeyFile",
    "UnusableKeySet",
    "UnusableToken",
    "carry_out_changes",
    "choose_recipient",
    "draw_key_states",
    "encrypt_to",
    "follow_key_state",
    "generate_signing_key",
    "hash_bytes",
    "make_key_encryption_key",
    "plan_rotation",
    "read_certificate",
    "read_foreign_token",
    "read_key",
    "read_key_set",
    "row_aad",
    "run_self_test",
    "verify_with_keys",
    "verify_with_own_key",
    "verify_with_secret",
]
