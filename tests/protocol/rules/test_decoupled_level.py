"""What another device is told is never more than substantial, and nobody begins who needs more."""

import json
from datetime import UTC, datetime

import pytest

from idp.kernel.errors import ProtocolError
from idp.kernel.levels import Acr, Factor, Proved
from idp.protocol.rules.decoupled_level import check_classes, list_told, lower, serves
from tests.support.protocol_samples import make_client

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "acr, told",
    [(Acr.LOW, Acr.LOW), (Acr.SUBSTANTIAL, Acr.SUBSTANTIAL), (Acr.HIGH, Acr.SUBSTANTIAL), (Acr.PHR, Acr.LOW), (Acr.PHRH, Acr.LOW)],
)
def test_a_class_is_lowered_to_what_may_be_told(acr: Acr, told: Acr) -> None:
    assert lower(acr) is told


def test_a_passkey_is_not_told() -> None:
    password, passkey = Proved(Factor.PASSWORD, NOW), Proved(Factor.PASSKEY, NOW)
    assert list_told([password, passkey]) == (password,)


@pytest.mark.parametrize("minimum, may", [(Acr.LOW, True), (Acr.SUBSTANTIAL, True), (Acr.HIGH, False)])
def test_a_client_with_a_higher_minimum_is_not_served(minimum: Acr, may: bool) -> None:
    client = make_client(minimum_acr=minimum)
    assert serves(client) is may
    if may:
        check_classes({}, client)
    else:
        with pytest.raises(ProtocolError) as refused:
            check_classes({}, client)
        assert refused.value.error == "unauthorized_client"


@pytest.mark.parametrize(
    "acr, may",
    [
        (None, True),
        ({"essential": True}, True),
        ({"values": ["phr"]}, True),
        ({"essential": True, "values": [Acr.HIGH, Acr.SUBSTANTIAL]}, True),
        ({"essential": True, "value": Acr.LOW}, True),
        ({"essential": True, "values": [Acr.HIGH]}, False),
        ({"essential": True, "value": "phr"}, False),
        ({"essential": True, "values": ["strange", 3]}, False),
    ],
)
def test_an_essential_class_has_to_be_reached(acr: object, may: bool) -> None:
    parameters = {"claims": json.dumps({"id_token": {"acr": acr}})}
    if may:
        check_classes(parameters, make_client())
    else:
        with pytest.raises(ProtocolError) as refused:
            check_classes(parameters, make_client())
        assert refused.value.error == "invalid_request"
    check_classes({"claims": "{}"}, make_client())
