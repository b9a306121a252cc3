"""JSON of every shape, for the parsers of parameters: what they cannot use they refuse with their one error."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.authorization_details import read_authorization_details
from idp.protocol.rules.authorization_request import PARAMETERS, read_authorization_request
from idp.protocol.rules.claims_request import read_claims_request
from idp.protocol.rules.client_metadata import RequestDemands
from idp.protocol.rules.request_object import check_object, read_object_parameters
from idp.protocol.rules.resources import choose_resources
from tests.support.protocol_samples import NOW, make_client, make_parameters

WORDS = st.sampled_from(
    [
        "type",
        "urn:yizheng:mandate",
        "representation",
        "required",
        "services",
        "userinfo",
        "id_token",
        "verified_claims",
        "claims",
        "verification",
        "trust_framework",
        "evidence",
        "value",
        "values",
        "max_age",
        "essential",
        "name",
        "iss",
        "aud",
        "exp",
        "nbf",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10) | WORDS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
CLIENT = make_client(
    requests=RequestDemands(authorization_details_types=("urn:yizheng:mandate",), allowed_resources=("https://a.example",))
)
SECONDS = int(NOW.timestamp())

PARSERS: dict[str, Callable[[str], object]] = {
    "claims": lambda text: read_claims_request(text, frozenset({"name"})),
    "authorization_details": lambda text: read_authorization_details(text, CLIENT),
    "resource": lambda text: choose_resources({"resource": text}, CLIENT),
    "whole": lambda text: read_authorization_request(
        make_parameters(claims=text, authorization_details=text), CLIENT, "https://land.example/"
    ),
}


ERRORS = frozenset({"invalid_request", "invalid_authorization_details", "invalid_target", "unmet_authentication_requirements"})


def find_refusal(act: Callable[[], object]) -> ProtocolError | None:
    """Return the protocol error of an act, None when it has none; any other error is the test's."""
    try:
        act()
    except ProtocolError as error:
        return error
    return None


@pytest.mark.parametrize("parser", PARSERS)
@given(value=JSON | st.text())
def test_it_is_read_or_refused(parser: str, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    refused = find_refusal(lambda: PARSERS[parser](text))
    assert refused is None or refused.error in ERRORS
    assert refused is None or refused.description.isprintable()


@given(st.dictionaries(WORDS | st.text(max_size=5), JSON, max_size=6), st.booleans())
def test_any_request_object_is_read_or_refused(claims: dict[str, Any], signed: bool) -> None:
    client = make_client(requests=RequestDemands(require_signed_request_object=signed))
    refused = find_refusal(lambda: check_object(claims, client, "https://id.example", SECONDS))
    assert refused is None or refused.error == "invalid_request_object"
    read: list[dict[str, str]] = []
    refused = find_refusal(lambda: read.append(read_object_parameters(claims, make_parameters(), client, PARAMETERS)))
    assert refused is None or refused.error == "invalid_request_object"
    for parameters in read:
        assert parameters["client_id"] == client.client_id
        assert all(type(value) is str for value in parameters.values())
