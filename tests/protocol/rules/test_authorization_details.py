"""What a token request may name of the authorization details that were granted (RFC 9396 §5, §6)."""

import json

import pytest

from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json
from idp.protocol.rules.authorization_details import MANDATE, check_details
from idp.protocol.rules.client_metadata import RequestDemands
from idp.protocol.rules.terms import Terms, write_terms
from tests.support.protocol_samples import make_client

CLIENT = make_client(requests=RequestDemands(authorization_details_types=(MANDATE,)))
OWN: dict[str, Json] = {"type": MANDATE, "capacity": "none"}
LATER: dict[str, Json] = {"type": "of a later release", "amounts": [1, 2]}


def check(granted: tuple[dict[str, Json], ...], text: str, client_types: tuple[str, ...] = (MANDATE,)) -> None:
    """Ask for tokens of a grant with these details."""
    client = make_client(requests=RequestDemands(authorization_details_types=client_types))
    check_details(write_terms(Terms(authorization_details=granted)), {"authorization_details": text}, client)


def test_nothing_named_is_nothing_to_check() -> None:
    check_details(None, {}, CLIENT)
    check_details(write_terms(Terms(authorization_details=(OWN,))), {}, CLIENT)


@pytest.mark.parametrize(
    ("granted", "named"),
    [
        ((OWN,), [OWN]),
        ((OWN,), [OWN, OWN]),
        ((OWN, OWN), [OWN]),
        ((OWN,), [{"type": MANDATE}]),
        ((OWN,), [{"type": MANDATE, "representation": "optional", "services": ["330000-0123"]}]),
        ((OWN, LATER), [LATER, {"type": MANDATE, "representation": "none"}]),
    ],
)
def test_what_was_granted_is_named_as_granted_or_as_asked(granted: tuple[dict[str, Json], ...], named: list[Json]) -> None:
    check(granted, json.dumps(named))


def test_what_was_granted_may_be_named_when_the_type_is_not_registered_any_more() -> None:
    check((OWN,), json.dumps([OWN]), ())


@pytest.mark.parametrize(
    ("granted", "text", "reason"),
    [
        ((), '[{"type":"zzz"}]', "a type is not registered for this client"),
        ((OWN,), '[{"type":"zzz"}]', "a type is not registered for this client"),
        ((OWN,), "{}", "an array of 1 to 5 objects is expected"),
        ((OWN,), "[]", "an array of 1 to 5 objects is expected"),
        ((OWN,), "[1]", "every entry is an object with a type"),
        ((), json.dumps([{"type": MANDATE}]), "an entry was not granted; entries are asked for at the authorization endpoint"),
        ((LATER,), json.dumps([LATER, {"type": MANDATE}]), "an entry was not granted; entries are asked for at the authorization endpoint"),
        ((OWN,), json.dumps([{**OWN, "capacity": "legal"}]), "a member is not known for urn:yizheng:mandate"),
        (
            (OWN,),
            json.dumps([{"type": MANDATE, "representation": "required"}]),
            "an entry was not granted; entries are asked for at the authorization endpoint",
        ),
        ((OWN, LATER), json.dumps([OWN]), "a token is for all that was granted"),
    ],
)
def test_more_less_or_unknown_is_refused(granted: tuple[dict[str, Json], ...], text: str, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        check(granted, text)
    assert caught.value.error == "invalid_authorization_details"
    assert caught.value.description == f"The authorization_details cannot be used: {reason}."
