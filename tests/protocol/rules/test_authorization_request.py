"""Authorization requests: what is answered by a page, what by an error at the client, what is read."""

import pytest

from idp.kernel.errors import ProtocolError
from idp.kernel.levels import Acr
from idp.protocol.rules.authorization_request import (
    BadRedirectUri,
    ClientSuspended,
    UnknownClient,
    find_return_address,
    read_authorization_request,
)
from idp.protocol.rules.client import find_usable_statuses
from tests.support.protocol_samples import CLIENT, make_client, make_parameters

URI = "https://land.example/callback"
LIVE = find_usable_statuses("production")


def test_where_real_people_are_a_sandbox_client_may_not_act() -> None:
    sandbox = make_client(status="sandbox")
    with pytest.raises(ClientSuspended):
        find_return_address(make_parameters(), sandbox, LIVE)
    for environment in ("sandbox", "demo"):
        assert find_return_address(make_parameters(), sandbox, find_usable_statuses(environment)) == URI


def test_without_a_client_or_a_registered_address_nobody_is_redirected() -> None:
    with pytest.raises(UnknownClient):
        find_return_address(make_parameters(), None, LIVE)
    for wrong in (None, "https://evil.example/callback"):
        with pytest.raises(BadRedirectUri):
            find_return_address(make_parameters(redirect_uri=wrong), CLIENT, LIVE)
    with pytest.raises(ClientSuspended) as caught:
        find_return_address(make_parameters(), make_client(status="suspended"), LIVE)
    assert caught.value.facts["home_url"] == ""


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("invalid_request", {"response_type": None}),
        ("unsupported_response_type", {"response_type": "token"}),
        ("unsupported_response_type", {"response_type": "code id_token"}),
        ("invalid_request", {"response_mode": "fragment"}),
        ("invalid_scope", {"scope": None}),
        ("invalid_scope", {"scope": "profile"}),
        ("invalid_request", {"code_challenge": None}),
        ("invalid_request", {"code_challenge": None, "code_challenge_method": None}),
        ("invalid_request", {"code_challenge_method": "plain"}),
        ("invalid_request", {"code_challenge_method": None}),
        ("invalid_request", {"code_challenge": "short"}),
        ("invalid_request", {"prompt": "none login"}),
        ("invalid_request", {"prompt": "dance"}),
        ("invalid_request", {"max_age": "-1"}),
        ("invalid_request", {"max_age": "ten"}),
        ("invalid_request", {"max_age": "9999999999"}),
        ("invalid_request", {"dpop_jkt": "short"}),
        ("invalid_request", {"claims": "[]"}),
        ("invalid_target", {"resource": "https://other.example/api"}),
        ("invalid_authorization_details", {"authorization_details": "[]"}),
    ],
)
def test_a_wrong_request_has_its_own_error(error: str, changes: dict[str, str | None]) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_authorization_request(make_parameters(**changes), CLIENT, URI)
    assert caught.value.error == error


def test_a_client_without_the_grant_is_refused() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_authorization_request(make_parameters(), make_client(grant_types=frozenset({"client_credentials"})), URI)
    assert caught.value.error == "unauthorized_client"


def test_pkce_may_be_absent_only_where_it_is_registered_so() -> None:
    legacy = make_client(requires_pkce=False)
    without = make_parameters(code_challenge=None, code_challenge_method=None)
    assert read_authorization_request(without, legacy, URI).challenge is None
    with pytest.raises(ProtocolError):
        read_authorization_request(make_parameters(code_challenge_method="plain"), legacy, URI)


def test_unknown_parameters_scopes_and_classes_are_ignored() -> None:
    parameters = make_parameters(
        scope="email openid  everything profile", claims_locales="zh", acr_values="0 urn:yizheng:acr:substantial", display="wap"
    )
    request = read_authorization_request(parameters, CLIENT, URI)
    assert request.scope == ("openid", "profile")
    assert request.wanted is Acr.SUBSTANTIAL


def test_a_scope_that_the_client_may_not_ask_for_is_dropped() -> None:
    request = read_authorization_request(make_parameters(scope="openid phone offline_access"), make_client(scopes=("phone",)), URI)
    assert request.scope == ("openid", "phone")


def test_state_and_nonce_are_kept_as_they_came() -> None:
    odd = " 省&=%20+\"'<>"
    request = read_authorization_request(make_parameters(state=odd, nonce=odd), CLIENT, URI)
    assert (request.state, request.nonce) == (odd, odd)


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("0", 0), ("060", 60), ("999999999", 999_999_999)])
def test_max_age_is_a_number_of_seconds(text: str | None, seconds: int | None) -> None:
    assert read_authorization_request(make_parameters(max_age=text), CLIENT, URI).max_age == seconds
