"""Token exchange: what is asked, who may, and how much is left."""

from uuid import UUID

import pytest

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.device_secret import hash_device_secret, is_named, may_share
from idp.protocol.rules.token_exchange import (
    ExchangeAccess,
    ExchangeDeviceSecret,
    ExchangeForTicket,
    TokenType,
    add_actor,
    describe_silent_request,
    find_exchange_fault,
    find_ticket_fault,
    narrow_exchange,
    read_exchange,
)
from tests.protocol.rules.test_values import make_grant
from tests.support.protocol_samples import CHALLENGE, make_client

ISSUER = "https://id.example"
ACCESS = {"subject_token": "t", "subject_token_type": TokenType.ACCESS_TOKEN.value}
APP = {
    "subject_token": "i",
    "subject_token_type": TokenType.ID_TOKEN.value,
    "actor_token": "d",
    "actor_token_type": TokenType.DEVICE_SECRET.value,
    "audience": ISSUER,
}
TICKET = {
    **ACCESS,
    "requested_token_type": TokenType.FRONT_TICKET.value,
    "audience": "land",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def test_the_three_exchanges_are_read() -> None:
    rfc = {**ACCESS, "resource": "https://backend.example.com/api", "scope": "profile"}  # RFC 8693 §2.3, its resource
    assert read_exchange(rfc, ISSUER) == ExchangeAccess("t", "https://backend.example.com/api", frozenset({"profile"}))
    assert read_exchange({**rfc, "requested_token_type": TokenType.ACCESS_TOKEN.value}, ISSUER) == read_exchange(rfc, ISSUER)
    assert read_exchange(APP, ISSUER) == ExchangeDeviceSecret("i", "d", frozenset({"openid"}))
    assert read_exchange(TICKET, ISSUER) == ExchangeForTicket("t", "land", CHALLENGE)


@pytest.mark.parametrize(
    ("error", "parameters"),
    [
        ("invalid_request", {}),
        ("invalid_request", {"subject_token": "t"}),
        ("invalid_request", {**ACCESS, "subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}),
        ("invalid_request", {**ACCESS, "resource": "https://a.example", "actor_token": "x"}),
        ("invalid_request", {**ACCESS, "resource": "https://a.example", "requested_token_type": TokenType.ID_TOKEN.value}),
        ("invalid_target", {**ACCESS}),
        ("invalid_target", {**ACCESS, "audience": "land"}),
        ("invalid_target", {**ACCESS, "resource": "https://a.example https://b.example"}),
        ("invalid_target", {**ACCESS, "resource": "a"}),
        ("invalid_request", {**APP, "actor_token_type": TokenType.ACCESS_TOKEN.value}),
        ("invalid_request", {**APP, "actor_token": ""} | {"actor_token_type": ""}),
        ("invalid_target", {**APP, "audience": "https://elsewhere.example"}),
        ("invalid_target", {**APP, "resource": "https://a.example"}),
        ("invalid_request", {**APP, "requested_token_type": TokenType.FRONT_TICKET.value}),
        ("invalid_scope", {**APP, "scope": "profile"}),
        ("invalid_request", {**TICKET, "code_challenge_method": "plain"}),
        ("invalid_request", {**TICKET, "code_challenge": "short"}),
        ("invalid_request", {k: v for k, v in TICKET.items() if k != "code_challenge"}),
        ("invalid_request", {k: v for k, v in TICKET.items() if k != "audience"}),
    ],
)
def test_wrong_exchanges_have_their_own_error(error: str, parameters: dict[str, str]) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_exchange(parameters, ISSUER)
    assert caught.value.error == error


def test_a_token_is_exchanged_by_its_client_or_its_resource_server() -> None:
    server = make_client(client_id="api", resources=("https://api.example",))
    assert find_exchange_fault(server, "api", None, None, None) is None
    assert find_exchange_fault(server, "land", "https://api.example", None, None) is None
    assert find_exchange_fault(server, "land", "https://api.example", "jkt:the-app's", "jkt:its own") is None
    assert find_exchange_fault(server, "land", "https://other.example", None, None) is not None
    assert find_exchange_fault(server, "land", None, None, None) is not None


def test_whoever_has_a_token_alone_does_not_exchange_it() -> None:
    known, public = (
        make_client(client_id="app"),
        make_client(client_id="app", auth_method=AuthMethod.NONE, resources=("https://api.example",)),
    )
    for client in (known, public):
        assert find_exchange_fault(client, "app", None, "jkt:a", "jkt:a") is None
        assert find_exchange_fault(client, "app", None, "jkt:a", "jkt:b") is not None
        assert find_exchange_fault(client, "app", None, "jkt:a", None) is not None
    assert find_exchange_fault(known, "app", "https://api.example", None, None) is None
    for proved in (None, "jkt:anybody's"):
        assert find_exchange_fault(public, "app", "https://api.example", None, proved) is not None
        assert find_exchange_fault(public, "land", "https://api.example", None, proved) is not None, "its id proves nothing"


def test_only_the_token_of_an_apps_own_sign_in_makes_a_ticket() -> None:
    own, scope = make_grant(client_id="app", lineage=b"1"), ("openid", "device_sso")
    assert find_ticket_fault("app", own, scope, None) is None
    assert find_ticket_fault("app", own, scope, "https://api.example") is not None, "a resource server has seen it"
    assert find_ticket_fault("app", own, ("openid",), None) is not None, "it was made for less"
    assert find_ticket_fault("other", own, scope, None) is not None
    for changes in ({"person_id": None}, {"lineage": None}, {"parent_id": UUID(int=1)}, {"session_alive": False}):
        assert find_ticket_fault("app", own._replace(**changes), scope, None) is not None, changes


def test_the_scope_never_grows() -> None:
    granted = ("openid", "profile", "phone", "offline_access")
    assert narrow_exchange(granted, None) == ("profile", "phone")
    assert narrow_exchange(granted, frozenset({"phone"})) == ("phone",)
    for more in ("identity", "openid", "offline_access"):
        with pytest.raises(ProtocolError) as caught:
            narrow_exchange(granted, frozenset({more}))
        assert caught.value.error == "invalid_scope"


def test_who_acts_is_written_inside() -> None:
    first = add_actor("a", None)
    assert first == {"sub": "a"}
    third = add_actor("c", add_actor("b", first))
    assert third == {"sub": "c", "act": {"sub": "b", "act": {"sub": "a"}}}
    with pytest.raises(ProtocolError):
        add_actor("d", third)


def test_an_app_that_comes_along_asks_nobody() -> None:
    request = describe_silent_request(make_client(client_id="app"), ("openid", "profile"))
    assert (request.client_id, request.scope, request.prompts) == ("app", ("openid", "profile"), frozenset({"none"}))
    assert request.redirect_uri == "", "nobody is sent anywhere"


def test_an_id_token_names_one_device_secret() -> None:
    assert is_named("secret", hash_device_secret("secret"))
    assert not is_named("secret", hash_device_secret("other"))
    assert not is_named("secret", None)


def test_apps_of_the_sector_share_a_device_secret() -> None:
    sector, elsewhere = UUID(int=1), UUID(int=2)
    app = make_client(client_id="app", scopes=("device_sso",), sector_id=sector)
    assert may_share(app, "another", sector)
    assert not may_share(app, "another", elsewhere)
    plain = make_client(client_id="app", scopes=("profile",), sector_id=sector)
    assert not may_share(plain, "another", sector)
    assert may_share(plain, "app", sector)
