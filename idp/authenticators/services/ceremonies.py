"""Decides how browsers are asked for passkeys and how what they answer is verified: the one place that knows the WebAuthn library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import webauthn
from webauthn.helpers import options_to_json, parse_attestation_object, parse_client_data_json
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from idp.authenticators.rules.passkey import ASKED_MILLISECONDS, Passkey, RelyingParty
from idp.kernel.ids import decode_base64url


@dataclass(frozen=True)
class MadePasskey:
    """What a browser's answer says of the passkey that it made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool


class Ceremonies:
    """Registration and use of passkeys for one relying party. Whatever the parsers raise on an answer, it proves nothing."""

    def __init__(self, party: RelyingParty, service_name: str) -> None:
        self._party = party
        self._service_name = service_name

    def ask(self, challenge: bytes, allowed: Sequence[Passkey]) -> str:
        """Return what a browser is asked that shall use a passkey, as JSON (WebAuthn §5.5)."""
        options = webauthn.generate_authentication_options(
            rp_id=self._party.id,
            challenge=challenge,
            timeout=ASKED_MILLISECONDS,
            allow_credentials=[_describe(passkey) for passkey in allowed],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    def ask_for_new(self, challenge: bytes, user_handle: bytes, name: str, known: Sequence[Passkey]) -> str:
        """Return what a browser is asked that shall make a passkey, as JSON (WebAuthn §5.4); none on a device that has one of ``known``."""
        options = webauthn.generate_registration_options(
            rp_id=self._party.id,
            rp_name=self._service_name,
            user_name=name,
            user_display_name=name,
            user_id=user_handle,
            challenge=challenge,
            timeout=ASKED_MILLISECONDS,
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[_describe(passkey) for passkey in known],
        )
        return options_to_json(options)

    def read_client_data(self, client_data: bytes) -> tuple[bytes, bool]:
        """Return the challenge that was answered, and whether the page stood in a frame of another origin."""
        read = parse_client_data_json(client_data)
        return read.challenge, bool(read.cross_origin)

    def read_new(self, answer: dict[str, Any], challenge: bytes) -> MadePasskey:
        """Return the passkey that a browser made (WebAuthn §7.1)."""
        _require_plain_attestation(answer)
        verified = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=self._party.id,
            expected_origin=self._party.origin,
            require_user_verification=True,
        )
        return MadePasskey(
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
            backed_up=verified.credential_backed_up,
        )

    def read_use(self, answer: dict[str, Any], challenge: bytes, public_key: bytes) -> tuple[int, bool]:
        """Return the counter of an answer that this key signed, and whether the passkey is backed up (WebAuthn §7.2)."""
        verified = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=self._party.id,
            expected_origin=self._party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,  # whether it was copied is judged from the counter by the caller
            require_user_verification=True,
        )
        return verified.new_sign_count, verified.credential_backed_up


def _describe(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(
        id=passkey.credential_id, transports=[AuthenticatorTransport(t) for t in passkey.transports] or None
    )


def _require_plain_attestation(answer: dict[str, Any]) -> None:
    """Raise ValueError for a statement about the maker of the authenticator: nobody asked for one, and none would be believed."""
    response = answer["response"]
    assert isinstance(response, dict)  # noqa: S101 - whoever asked for the challenge looked
    attested = parse_attestation_object(decode_base64url(response["attestationObject"]))
    if attested.fmt == AttestationFormat.NONE:
        return
    if attested.fmt != AttestationFormat.PACKED or attested.att_stmt.x5c:
        raise ValueError("an attestation that nobody asked for")
