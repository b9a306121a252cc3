"""``idp demo --conformance`` as a suite meets it: over https, by its own configurations, with a browser that only obeys their commands."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest

from idp.demo.certificates import CertificateFolder
from tests.support.demo import DemoProcess, find_ports
from tests.support.suite import SuiteFailed, run_suite
from tests.support.suite_journeys import Target, ask_at_the_counter, await_call, get_tokens, list_addresses, register

pytestmark = [pytest.mark.xdist_group("journeys"), pytest.mark.slow, pytest.mark.nginx]
EVERYTHING = {"sub", "name", "gender", "birthdate", "locale", "updated_at", "email", "email_verified", "address"}
EVERYTHING |= {"phone_number", "phone_number_verified"}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder, port = tmp_path_factory.mktemp("conformance"), find_ports(3)
    with run_suite(folder / "suite", port + 2) as suite:
        words = ["--conformance", "--suite", suite.origin, "--suite-ca", str(suite.authority), "--data", str(folder / "data")]
        with DemoProcess(port, *words) as demo:
            assert demo.issuer == f"https://localhost:{port}"
            with Target.open(folder / "data" / "conformance", suite) as opened:
                yield opened


def test_every_address_is_https_and_answers(target: Target) -> None:
    metadata = target.open_client("basic").metadata
    addresses = list_addresses(metadata)
    assert {"registration_endpoint", "check_session_iframe", "mtls token_endpoint"} <= addresses.keys()
    with httpx2.Client(verify=target.trusting, trust_env=False) as client:
        for name, address in addresses.items():
            assert address.startswith("https://"), name
            assert client.get(address).status_code not in (404, 421) or name == "issuer", name
            assert client.get(address).status_code < 500, name


def test_a_client_registers_itself_and_everybody_signs_in_and_out(target: Target) -> None:
    party = register(target)
    got = party.ask(acr_values="urn:yizheng:acr:substantial")
    assert "Type the code" not in party.browser.skipped
    assert "Agree or refuse" not in party.browser.skipped
    tokens = party.redeem(got["code"])
    assert party.read_userinfo(tokens["access_token"]).keys() == EVERYTHING
    back = f"{target.suite.origin}/test/a/yizheng/post_logout_redirect"
    assert party.leave(id_token_hint=tokens["id_token"], post_logout_redirect_uri=back, state="bye") == f"{back}?state=bye"
    assert "logout_token" in await_call(target.suite, "backchannel_logout")
    assert party.ask(prompt="none")["error"] == "login_required"


def test_how_the_sample_person_was_verified(target: Target) -> None:
    party = register(target, "oidcc-claims-essential")
    wanted = {"verification": {"trust_framework": None, "assurance_level": None, "evidence": [{"type": {"value": "electronic_record"}}]}}
    asked = {"userinfo": {"verified_claims": {**wanted, "claims": {"name": None}}}}
    tokens = party.redeem(party.ask(claims=json.dumps(asked))["code"])
    told = party.read_userinfo(tokens["access_token"])["verified_claims"]
    assert told["verification"]["assurance_level"] == "urn:yizheng:ial:3"
    assert len(told["verification"]["evidence"]) == 3, "the register, the operator and the card's authority"
    assert told["claims"].keys() == {"name"}


def test_an_answer_that_is_posted(target: Target) -> None:
    assert register(target).ask(response_mode="form_post")["state"] == "state-1"
    assert target.suite.received[-1][0] == "POST"


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "0"}], ids=lambda changes: next(iter(changes)))
def test_modules_that_want_to_see_the_sign_in_page(target: Target, changes: dict[str, str]) -> None:
    party = register(target, "oidcc-prompt-login")
    party.ask()
    party.ask(**changes)
    assert len(party.browser.shown) == 2


def test_a_module_that_ends_on_our_error_page(target: Target) -> None:
    party = register(target, "oidcc-ensure-registered-redirect-uri")
    party.browser.visit(party.make_address(redirect_uri="https://elsewhere.example/callback"))
    assert len(party.browser.shown) == 1
    with pytest.raises(SuiteFailed):
        party.browser.visit(party.make_address())


@pytest.mark.parametrize("module", ["no-params", "bad-id-token-hint", "bad-post-logout-redirect-uri", "no-id-token-hint"])
def test_modules_that_end_on_our_page_after_signing_out(target: Target, module: str) -> None:
    party = register(target, f"oidcc-rp-initiated-logout-{module}")
    tokens = party.redeem(party.ask()["code"])
    back = f"{target.suite.origin}/test/a/yizheng/post_logout_redirect"
    sent = {
        "no-params": {},
        "bad-id-token-hint": {"id_token_hint": "nothing", "post_logout_redirect_uri": back},
        "bad-post-logout-redirect-uri": {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": f"{back}/other"},
        "no-id-token-hint": {"post_logout_redirect_uri": back},
    }[module]
    assert urlsplit(party.leave(**sent)).netloc == urlsplit(party.metadata["issuer"]).netloc
    assert len(party.browser.shown) == 1
    assert party.ask(prompt="none")["error"] == "login_required"


@pytest.mark.parametrize("plan", ["fapi2", "fapi2-mtls", "message-signing"])
def test_a_client_of_fapi_2(target: Target, plan: str) -> None:
    client, _, tokens = get_tokens(target, plan)
    assert tokens["token_type"] == ("Bearer" if plan == "fapi2-mtls" else "DPoP")
    assert client.read_signed(tokens["id_token"])["nonce"] == "nonce-1"
    assert client.read_resource(tokens["access_token"]).json().keys() == EVERYTHING
    stranger = target.open_client(plan, "client2")
    assert stranger.read_resource(tokens["access_token"]).status_code == 401


@pytest.mark.parametrize("plan", ["fapi2", "fapi2-mtls", "message-signing"])
def test_a_request_of_fapi_2_that_was_not_pushed_is_told_to_the_client(target: Target, plan: str) -> None:
    module = "fapi2-security-profile-final-ensure-unsigned-authorization-request-without-using-par-fails"
    client, browser = target.open_client(plan), target.open_browser(plan, module)
    asked = {"response_type": "code", "redirect_uri": target.callback, "scope": client.scope, "state": "state-1", "nonce": "nonce-1"}
    signed = {"response_mode": "jwt"} if plan == "message-signing" else {}
    query = urlencode({"client_id": client.client_id, **asked, **signed})
    assert browser.visit(f"{client.metadata['authorization_endpoint']}?{query}").url.startswith(target.callback)
    told = target.suite.find("callback")
    told = client.read_signed(told["response"]) if signed else told
    assert (told["error"], told["state"], told["iss"]) == ("invalid_request", "state-1", client.metadata["issuer"])


def test_somebody_refuses_in_the_fapi_2_module_for_it(target: Target) -> None:
    for _ in range(2):
        with pytest.raises(SuiteFailed, match="access_denied"):
            get_tokens(target, "fapi2", "fapi2-security-profile-final-user-rejects-authentication")


def test_a_pushed_request_that_is_used_again(target: Target) -> None:
    client, browser = (
        target.open_client("fapi2"),
        target.open_browser("fapi2", "fapi2-security-profile-final-par-attempt-reuse-request_uri"),
    )
    address, _ = client.push(redirect_uri=target.callback)
    browser.visit(address)
    assert browser.shown == []
    browser.visit(address)
    assert len(browser.shown) == 1


def test_a_pushed_request_that_is_looked_at_first(target: Target) -> None:
    module = "fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds"
    client, browser = target.open_client("fapi2"), target.open_browser("fapi2", module)
    address, _ = client.push(redirect_uri=target.callback)
    assert "/sign-in" in browser.visit(address).url
    assert "/callback" in browser.visit(address).url


@pytest.mark.parametrize("plan", ["ciba-poll", "ciba-ping"])
def test_a_counter_is_answered_by_the_address_of_the_configuration(target: Target, plan: str) -> None:
    client, answer = ask_at_the_counter(target, plan, "allow")
    assert client.read_signed(answer.json()["id_token"])["acr"] == target.read(plan)["client2"]["acr_value"]
    assert client.read_resource(answer.json()["access_token"]).json().keys() == EVERYTHING
    _, answer = ask_at_the_counter(target, plan, "deny")
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")


def test_only_what_waits_is_answered(target: Target) -> None:
    client = target.open_client("ciba-poll")
    address = f"{client.metadata['issuer']}/demo/ciba"
    for query, status in (("", 400), ("auth_req_id=x&action=perhaps", 400), ("auth_req_id=x&action=allow", 404)):
        assert client.call("POST", f"{address}?{query}").status_code == status
    assert client.call("GET", address).status_code == 405


def test_certificates_are_of_an_authority_that_stays(tmp_path: Path) -> None:
    made = CertificateFolder(tmp_path)
    authority, (client, _) = made.authority.read_bytes(), made.make_client("client")
    before = client.read_bytes()
    again = CertificateFolder(tmp_path)
    assert (again.authority.read_bytes(), again.make_client("client")[0].read_bytes()) == (authority, before)
