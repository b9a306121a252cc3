"""Decides what secrets do: sealing, blind indexes, macs, signing keys and their life. Knows nothing of the identity provider around it."""

from keys.bearer import MAX_BEARER, BearerSealer
from keys.blind_index import BlindIndex
from keys.data_keys import DATA_KEY_PURPOSES, DATA_KEY_SIZE, DataKey, DataKeys
from keys.envelope import MAX_PLAINTEXT, Sealer, SealerRandom, row_aad
from keys.errors import (
    IllegalKeyTransition,
    InvalidSignature,
    MissingKey,
    NoSigningKey,
    SelfTestFailed,
    Unsealable,
    UntrustedKeyRecord,
    UnusableKeyFile,
)
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
from keys.ring import MAX_TOKEN, SigningRing
from keys.self_test import SelfTestReport, run_self_test
from keys.signing_key import ALGORITHMS, SigningKey, SigningKeyRecord, carry_out_changes, generate_signing_key

__all__ = [
    "ALGORITHMS",
    "DATA_KEY_PURPOSES",
    "DATA_KEY_SIZE",
    "KEY_TRANSITIONS",
    "MAX_BEARER",
    "MAX_PLAINTEXT",
    "MAX_TOKEN",
    "BearerSealer",
    "BlindIndex",
    "DataKey",
    "DataKeys",
    "IllegalKeyTransition",
    "InvalidSignature",
    "KeyChange",
    "KeyCreation",
    "KeyEncryptionKey",
    "KeyEvent",
    "KeyState",
    "Mac",
    "MissingKey",
    "NoSigningKey",
    "Sealer",
    "SealerRandom",
    "SelfTestFailed",
    "SelfTestReport",
    "SigningKey",
    "SigningKeyRecord",
    "SigningRing",
    "Unsealable",
    "UntrustedKeyRecord",
    "UnusableKeyFile",
    "carry_out_changes",
    "draw_key_states",
    "follow_key_state",
    "generate_signing_key",
    "make_key_encryption_key",
    "plan_rotation",
    "row_aad",
    "run_self_test",
]
