"""The admin API: registering and changing clients, the second person on a live one, and every refusal as a problem (RFC 9457)."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx2
import msgspec
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.sealed_values import AccessToken
from tests.protocol.endpoints.test_dpop import prove, prove_use
from tests.support.administration import ADMIN, Administrator, appoint
from tests.support.provider import REDIRECT_URI, Provider

NEW = {"client_name": "新系统（样例）", "sector": "自然资源", "redirect_uris": ["https://new.example/cb"]}


@pytest_asyncio.fixture(loop_scope="module")
async def writer(provider: Provider) -> Administrator:
    return await appoint(provider, "writer", "clients:read", "clients:write")


@pytest_asyncio.fixture(loop_scope="module")
async def approver(provider: Provider) -> Administrator:
    return await appoint(provider, "approver", "clients:read", "clients:write", "clients:approve")


def assert_problem(answer: httpx2.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = answer.json()
    assert (problem["code"], problem["status"]) == (code, status)
    if field is not None:
        assert problem["field"] == field
    return problem


async def add(writer: Administrator, client_id: str, **metadata: Any) -> dict[str, Any]:
    answer = await writer.ask("POST", "/clients", {**NEW, "client_id": client_id, **metadata})
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


async def set_live(writer: Administrator, approver: Administrator, client_id: str, **metadata: Any) -> dict[str, Any]:
    added = await add(writer, client_id, **metadata)
    asked = await writer.ask("POST", f"/clients/{client_id}/go-live")
    assert asked.status_code == 202, asked.text
    assert asked.json()["client"]["status"] == "reviewing"
    approved = await approver.ask("POST", f"/client-changes/{asked.json()['change']['id']}/approve")
    assert approved.json()["client"]["status"] == "live", approved.text
    return added


async def test_a_client_is_registered_read_and_changed(provider: Provider, writer: Administrator) -> None:
    added = await add(writer, "first", scope="openid profile", contacts=["x@new.example"])
    assert added["client"]["status"] == "sandbox"
    assert added["client"]["id_token_signed_response_alg"] == "ES256"
    assert added["client"]["scope"] == "profile"
    assert len(added["client_secret"]) >= 43
    read = await writer.ask("GET", "/clients/first")
    assert (read.headers["etag"], read.json()) == ('"1"', added["client"])
    changed = await writer.change("first", {"client_name": "改名（样例）", "contacts": None})
    assert changed.status_code == 200
    assert changed.headers["etag"] == '"2"'
    assert changed.json()["client"]["client_name"] == "改名（样例）"
    assert "contacts" not in changed.json()["client"]
    assert "client_secret" not in changed.json()
    events = [e for e in await provider.read_events("client_changed") if e["client_id"] == "first"]
    assert [(e["actor"], json.loads(e["details"])["changed"]) for e in events] == [("client:writer", "client_name contacts")]


async def test_a_change_that_changes_nothing_makes_no_version(writer: Administrator) -> None:
    added = await add(writer, "same")
    answer = await writer.change("same", {"client_name": added["client"]["client_name"], "grant_types": ["authorization_code"]})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')


async def test_what_is_written_is_read_again(writer: Administrator) -> None:
    metadata = {
        "client_name#en": "New system (sample)",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": "https://new.example/keys",
        "entitlements": [{"purpose": "登记", "purpose_en": "Registration", "basis": "consent", "claims": ["name"]}],
        "default_max_age": 0,
        "require_pushed_authorization_requests": True,
        "backchannel_logout_uri": "https://new.example/logout",
        "grant_types": ["authorization_code", "refresh_token"],
    }
    added = await add(writer, "whole", **metadata)
    assert "client_secret" not in added
    told = added["client"]
    told["entitlements"] = [{name: value for name, value in e.items() if name != "version"} for e in told["entitlements"]]
    assert {name: told[name] for name in metadata} == metadata


async def test_the_directory_sees_a_change_at_once(provider: Provider, writer: Administrator) -> None:
    await add(writer, "seen")
    known = await provider.services.directory.find("seen")
    assert known is not None
    await writer.change("seen", {"isolated": True})
    for _ in range(500):
        known = await provider.services.directory.find("seen")
        if known is not None and known.isolated:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the notice of the change did not arrive")


@pytest.mark.parametrize(
    ("field", "metadata"),
    [
        ("client_name", {"client_name": None}),
        ("client_name", {"client_name": 7}),
        ("client_name", {"client_name": "x" * 101}),
        ("redirect_uris", {"redirect_uris": ["http://new.example/"]}),
        ("redirect_uris", {"redirect_uris": "https://new.example/"}),
        ("redirect_uris", {"redirect_uris": []}),
        ("grant_types", {"grant_types": ["implicit"]}),
        ("nonsense", {"nonsense": 1}),
        ("status", {"status": "live"}),
        ("client_secret", {"client_secret": "x" * 43}),
        ("minimum_acr", {"minimum_acr": "phr"}),
        ("scope", {"scope": "everything"}),
        ("jwks", {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}),
        ("jwks", {"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}}),
        ("entitlements", {"entitlements": [{"purpose": "p", "basis": "whim", "claims": ["name"]}]}),
        ("entitlements", {"entitlements": [{"purpose": "p", "basis": "consent", "claims": ["password"]}]}),
        ("token_endpoint_auth_method", {"token_endpoint_auth_method": "client_secret_jwt"}),
        ("default_max_age", {"default_max_age": -1}),
        ("client_id", {"client_id": "部门"}),
        ("id_token_signed_response_alg", {"id_token_signed_response_alg": "PS256"}),
        ("profile", {"profile": "fapi9"}),
        ("token_endpoint_auth_method", {"profile": "fapi2"}),
    ],
)
async def test_a_value_that_is_not_acceptable_is_named(writer: Administrator, field: str, metadata: dict[str, Any]) -> None:
    assert_problem(await writer.ask("POST", "/clients", {**NEW, **metadata}), 422, "bad_metadata", field)


async def test_what_the_profile_demands_is_told_as_it_holds(writer: Administrator) -> None:
    keys = {"keys": [ECKey.generate_key("P-256", {"kid": "1"}, auto_kid=False).as_dict(private=False)]}
    by_key = {"token_endpoint_auth_method": "private_key_jwt", "jwks": keys, "dpop_bound_access_tokens": True}
    added = await add(writer, "signing", profile="fapi2_message_signing", **by_key)
    demanded = ("require_pushed_authorization_requests", "require_signed_request_object")
    for told in (added["client"], (await writer.ask("GET", "/clients/signing")).json()):
        assert [told[name] for name in demanded] == [True, True]


async def test_a_missing_value_is_named(writer: Administrator) -> None:
    for name in ("client_name", "sector"):
        body = {key: value for key, value in NEW.items() if key != name}
        assert_problem(await writer.ask("POST", "/clients", body), 422, "bad_metadata", name)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"sector":"a","sector":"b"}', b"\xff", b'"x"', b"{" + b" " * 50_000 + b"}"])
async def test_a_body_that_is_no_object_is_refused(provider: Provider, writer: Administrator, body: bytes) -> None:
    headers = {"authorization": f"Bearer {writer.token}", "content-type": "application/json"}
    assert_problem(await provider.browser.post("/admin/v1/clients", content=body, headers=headers), 400, "bad_body")


async def test_a_body_of_another_type_is_refused(provider: Provider, writer: Administrator) -> None:
    headers = {"authorization": f"Bearer {writer.token}"}
    assert_problem(await provider.browser.post("/admin/v1/clients", data={"a": "b"}, headers=headers), 400, "bad_body")


async def test_clients_are_listed_by_page(writer: Administrator) -> None:
    for number in range(3):
        await add(writer, f"zz-{number}")
    page = (await writer.ask("GET", "/clients?after=zz-&limit=2")).json()
    assert [client["client_id"] for client in page["clients"]] == ["zz-0", "zz-1"]
    rest = (await writer.ask("GET", f"/clients?after={page['next']}&limit=2")).json()
    assert ([client["client_id"] for client in rest["clients"]], rest["next"]) == (["zz-2"], None)
    for query in ("limit=0", "limit=201", "limit=x", "after=%20", "limit=-1", "limit=%C2%B2"):
        assert_problem(await writer.ask("GET", f"/clients?{query}"), 400, "bad_query")


async def test_a_version_that_moved_is_refused(writer: Administrator) -> None:
    await add(writer, "versions")
    assert_problem(await writer.ask("PATCH", "/clients/versions", {"isolated": True}), 428, "version_missing", "If-Match")
    answers = await asyncio.gather(*(writer.change("versions", {"client_name": f"n{n}"}, '"1"') for n in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    for tag in ('"7"', 'W/"2"', "2", "x"):
        assert_problem(await writer.change("versions", {"isolated": True}, tag), 412, "version_moved")
    assert (await writer.change("versions", {"isolated": True}, "*")).status_code == 200


async def test_one_of_several_versions_is_enough(writer: Administrator) -> None:
    """RFC 9110 §13.1.1: If-Match is a list."""
    await add(writer, "several")
    for version, tags in enumerate(('"7", "1"', '"2","5"', ' "x" , "a,b",, "3"', 'W/"4", "4"'), start=2):
        changed = await writer.change("several", {"client_name": f"n{version}"}, tags)
        assert (changed.status_code, changed.headers.get("etag")) == (200, f'"{version}"'), tags
    for tags in ('"1", "2"', 'W/"5"', 'W/"5", "6"', "*, 5", ",", '"5', '"a,5"'):
        assert_problem(await writer.change("several", {"isolated": True}, tags), 412, "version_moved")
    token = {"authorization": f"Bearer {writer.token}"}
    lines = [*token.items(), ("if-match", '"1"'), ("if-match", '"5"')]
    answer = await writer.provider.browser.patch("/admin/v1/clients/several", json={"isolated": True}, headers=lines)
    assert answer.status_code == 200, "one list in two lines"


async def test_an_id_is_given_once(writer: Administrator) -> None:
    await add(writer, "once")
    assert_problem(await writer.ask("POST", "/clients", {**NEW, "client_id": "once"}), 409, "client_exists")
    made = (await writer.ask("POST", "/clients", NEW)).json()["client"]["client_id"]
    assert len(made) == 22


async def test_an_id_that_only_begins_like_a_clients_is_nobodys(writer: Administrator) -> None:
    longest = "a" * 64
    await add(writer, longest)
    for path in (f"{longest}-other", f"{longest}%0A", f"{longest}a"):
        assert_problem(await writer.ask("POST", f"/clients/{path}/suspend"), 404, "no_client")
        assert_problem(await writer.ask("GET", f"/clients/{path}"), 404, "no_client")
    assert (await writer.ask("GET", f"/clients/{longest}")).json()["status"] == "sandbox"


async def test_a_repeated_request_gets_the_first_answer(writer: Administrator, approver: Administrator) -> None:
    first = await writer.ask("POST", "/clients", NEW, idempotency_key="k-1")
    again = await writer.ask("POST", "/clients", NEW, idempotency_key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert_problem(await writer.ask("POST", "/clients", {**NEW, "isolated": True}, idempotency_key="k-1"), 422, "key_reused")
    other = await approver.ask("POST", "/clients", NEW, idempotency_key="k-1")
    assert other.json()["client"]["client_id"] != first.json()["client"]["client_id"]
    assert_problem(await writer.ask("POST", "/clients", NEW, idempotency_key="a b"), 400, "bad_query")
    at_once = await asyncio.gather(*(writer.ask("POST", "/clients", NEW, idempotency_key="k-2") for _ in range(4)))
    assert len({answer.json()["client"]["client_id"] for answer in at_once if answer.status_code == 201}) == 1
    assert {answer.status_code for answer in at_once} <= {201, 409}


@pytest.mark.parametrize(
    ("changes", "guarded"),
    [
        ({"redirect_uris": ["https://new.example/other"]}, True),
        ({"post_logout_redirect_uris": ["https://new.example/bye"]}, True),
        ({"backchannel_logout_uri": "https://new.example/out"}, True),
        ({"jwks_uri": "https://new.example/keys"}, True),
        ({"token_endpoint_auth_method": "client_secret_post"}, True),
        ({"sector": "另一"}, True),
        ({"entitlements": [{"purpose": "p", "basis": "consent", "claims": ["name"], "version": 1}]}, True),
        ({"scope": "profile"}, True),
        ({"requires_pkce": False}, True),
        ({"client_name": "别名（样例）"}, True),
        ({"contacts": ["y@new.example"]}, False),
        ({"logo_uri": "https://new.example/logo"}, True),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_on_a_live_client_two_persons_change_what_matters(
    provider: Provider, writer: Administrator, approver: Administrator, changes: dict[str, Any], guarded: bool
) -> None:
    name = f"live-{next(iter(changes)).replace('#', '')}"
    await set_live(writer, approver, name)
    before = (await writer.ask("GET", f"/clients/{name}")).json()
    answer = await approver.change(name, changes)
    if not guarded:
        assert answer.status_code == 200
        return
    assert answer.status_code == 202, answer.text
    waits = answer.json()["change"]
    assert (waits["state"], waits["kind"], waits["wanted"], waits["asked_by"]) == ("pending", "change", changes, "client:approver")
    assert (await writer.ask("GET", f"/clients/{name}")).json() == before, "nothing is changed yet"
    assert_problem(await approver.ask("POST", f"/client-changes/{waits['id']}/approve"), 403, "own_request")
    assert_problem(await writer.ask("POST", f"/client-changes/{waits['id']}/approve"), 403, "insufficient_scope")
    assert_problem(await writer.change(name, {"isolated": True}), 409, "change_waits")
    second = await appoint(provider, "second", "clients:read", "clients:approve")
    approved = await second.ask("POST", f"/client-changes/{waits['id']}/approve")
    assert approved.status_code == 200, approved.text
    for key, value in changes.items():
        assert approved.json()["client"][key] == value
    decided = (await writer.ask("GET", f"/client-changes/{waits['id']}")).json()
    assert (decided["state"], decided["decided_by"]) == ("approved", "client:second")
    assert_problem(await second.ask("POST", f"/client-changes/{waits['id']}/approve"), 409, "not_waiting")
    for kind in ("client_change_requested", "client_change_approved"):
        assert [e for e in await provider.read_events(kind) if e["client_id"] == name]


async def test_a_change_is_decided_once(provider: Provider, writer: Administrator, approver: Administrator) -> None:
    await set_live(writer, approver, "decided")
    waits = (await writer.change("decided", {"isolated": True})).json()["change"]
    second = await appoint(provider, "second", "clients:read", "clients:approve")
    answers = await asyncio.gather(
        *(who.ask("POST", f"/client-changes/{waits['id']}/approve") for who in (approver, second, approver, second)),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert (await writer.ask("GET", "/clients/decided")).json()["version"] == 4


async def test_a_change_that_became_impossible_changes_nothing(provider: Provider, writer: Administrator, approver: Administrator) -> None:
    await set_live(writer, approver, "narrow")
    waits = (await writer.change("narrow", {"frontchannel_logout_uri": "https://new.example/out"})).json()["change"]
    await provider.execute(
        "UPDATE clients SET version = version + 1, document = replace(document, 'https://new.example/cb', 'https://moved.example/cb') "
        "WHERE client_id = 'narrow'"
    )
    second = await appoint(provider, "second", "clients:read", "clients:approve")
    answer = await second.ask("POST", f"/client-changes/{waits['id']}/approve")
    assert_problem(answer, 422, "bad_metadata", "frontchannel_logout_uri")
    assert (await writer.ask("GET", f"/client-changes/{waits['id']}")).json()["state"] == "pending"


async def test_a_change_is_refused_or_taken_back(writer: Administrator, approver: Administrator) -> None:
    await set_live(writer, approver, "refusing")
    first = (await writer.change("refusing", {"isolated": True})).json()["change"]
    refused = await approver.ask("POST", f"/client-changes/{first['id']}/refuse", {"reason": "case 12"})
    assert refused.status_code == 200
    assert (await writer.ask("GET", f"/client-changes/{first['id']}")).json()["state"] == "refused"
    again = (await writer.change("refusing", {"isolated": True})).json()["change"]
    assert (await writer.ask("POST", f"/client-changes/{again['id']}/refuse", {"reason": "mistake"})).status_code == 200
    assert (await writer.ask("GET", f"/client-changes/{again['id']}")).json()["state"] == "withdrawn"
    third = (await approver.change("refusing", {"isolated": True})).json()["change"]
    assert_problem(await writer.ask("POST", f"/client-changes/{third['id']}/refuse", {"reason": "no"}), 403, "insufficient_scope")
    assert_problem(await approver.ask("POST", f"/client-changes/{third['id']}/refuse", {}), 422, "bad_metadata", "reason")
    assert (await writer.ask("GET", "/clients/refusing")).json()["isolated"] is False


async def test_a_change_that_waited_for_thirty_days_is_over(provider: Provider, writer: Administrator, approver: Administrator) -> None:
    await set_live(writer, approver, "slow")
    waits = (await writer.change("slow", {"isolated": True})).json()["change"]
    provider.clock.advance(30 * 86_400)
    writer = await appoint(provider, "writer", "clients:read", "clients:write")
    approver = await appoint(provider, "approver", "clients:read", "clients:write", "clients:approve")
    assert_problem(await approver.ask("POST", f"/client-changes/{waits['id']}/approve"), 409, "not_waiting")
    assert (await writer.ask("GET", f"/client-changes/{waits['id']}")).json()["state"] == "expired"
    listed = (await writer.ask("GET", "/client-changes?client_id=slow&state=expired")).json()["changes"]
    assert [change["id"] for change in listed] == [waits["id"]]
    again = (await writer.change("slow", {"isolated": True})).json()["change"]
    listed = {
        state: [change["id"] for change in (await writer.ask("GET", f"/client-changes?client_id=slow&state={state}")).json()["changes"]]
        for state in ("expired", "pending")
    }
    assert listed == {"expired": [waits["id"]], "pending": [again["id"]]}, "also when another one was asked for"
    provider.clock.advance(30 * 86_400)
    writer = await appoint(provider, "writer", "clients:read", "clients:write")
    first, second = sorted([waits["id"], again["id"]])
    page = (await writer.ask("GET", "/client-changes?client_id=slow&state=expired&limit=1")).json()
    assert ([change["id"] for change in page["changes"]], page["next"]) == ([first], first), "a page is full"
    page = (await writer.ask("GET", f"/client-changes?client_id=slow&state=expired&limit=1&after={page['next']}")).json()
    assert [change["id"] for change in page["changes"]] == [second]


async def test_changes_are_listed(writer: Administrator, approver: Administrator) -> None:
    await set_live(writer, approver, "listed")
    waits = (await writer.change("listed", {"isolated": True})).json()["change"]
    found = (await writer.ask("GET", "/client-changes?client_id=listed&state=pending")).json()
    assert ([change["id"] for change in found["changes"]], found["next"]) == ([waits["id"]], None)
    assert len((await writer.ask("GET", "/client-changes?client_id=listed")).json()["changes"]) == 2
    assert_problem(await writer.ask("GET", "/client-changes?state=perhaps"), 400, "bad_query", "state")
    assert_problem(await writer.ask("GET", "/client-changes/nothing"), 404, "no_change")


async def test_a_client_under_review_stays_as_it_is_read(writer: Administrator, approver: Administrator) -> None:
    await add(writer, "review")
    asked = (await approver.ask("POST", "/clients/review/go-live")).json()["change"]
    assert_problem(await writer.change("review", {"client_name": "x"}), 409, "wrong_status")
    assert_problem(await writer.ask("POST", "/clients/review/go-live"), 409, "change_waits")
    assert_problem(await approver.ask("POST", f"/client-changes/{asked['id']}/approve"), 403, "own_request")
    assert (await approver.ask("POST", f"/client-changes/{asked['id']}/refuse", {"reason": "later"})).json()["client"][
        "status"
    ] == "sandbox"


async def test_a_client_is_suspended_resumed_and_retired(provider: Provider, writer: Administrator, approver: Administrator) -> None:
    added = await set_live(writer, approver, "coming", redirect_uris=[REDIRECT_URI])
    provider.secrets["coming"] = added["client_secret"]
    cookies = await provider.open_session(await provider.add_person())
    token = (await provider.get_tokens("coming", cookies, scope="openid"))["access_token"]
    waits = (await writer.change("coming", {"isolated": True})).json()["change"]
    suspended = await writer.ask("POST", "/clients/coming/suspend")
    assert suspended.json()["client"]["status"] == "suspended"
    assert (await provider.read_userinfo(token)).status_code == 401, "its tokens end at once"
    assert (await writer.ask("GET", f"/client-changes/{waits['id']}")).json()["state"] == "withdrawn"
    asked = await writer.ask("POST", "/clients/coming/resume")
    assert asked.status_code == 202
    resumed = await approver.ask("POST", f"/client-changes/{asked.json()['change']['id']}/approve")
    assert resumed.json()["client"]["status"] == "live"
    assert_problem(await writer.ask("POST", "/clients/coming/resume"), 409, "wrong_status")
    assert_problem(await writer.ask("POST", "/clients/coming/retire"), 403, "insufficient_scope")
    assert (await approver.ask("POST", "/clients/coming/retire")).json()["client"]["status"] == "retired"
    for path in ("suspend", "resume", "retire", "go-live", "rotate-secret"):
        assert_problem(await approver.ask("POST", f"/clients/coming/{path}"), 409, "wrong_status")
    assert_problem(await approver.change("coming", {"client_name": "x"}), 409, "wrong_status")
    await add(writer, "waiting")
    await writer.ask("POST", "/clients/waiting/suspend")
    assert (await writer.ask("POST", "/clients/waiting/resume")).json()["client"]["status"] == "sandbox"


async def test_a_secret_is_rotated_with_an_overlap(provider: Provider, writer: Administrator, approver: Administrator) -> None:
    added = await set_live(writer, approver, "rotating", grant_types=["client_credentials"], redirect_uris=[])
    old = added["client_secret"]
    asked = await writer.ask("POST", "/clients/rotating/rotate-secret", {"overlap_seconds": 100})
    assert (asked.status_code, "client_secret" in asked.json()) == (202, False)
    waits = asked.json()["change"]
    assert (waits["kind"], waits["wanted"]) == ("rotate_secret", {"overlap_seconds": 100})
    take = f"/client-changes/{waits['id']}/take-secret"
    assert_problem(await writer.ask("POST", take), 409, "no_secret")
    approved = await approver.ask("POST", f"/client-changes/{waits['id']}/approve")
    assert (approved.status_code, approved.json().keys()) == (200, {"client"}), "whoever approves sees no secret"
    assert_problem(await approver.ask("POST", take), 403, "not_yours")
    new = (await writer.ask("POST", take)).json()["client_secret"]
    assert_problem(await writer.ask("POST", take), 409, "no_secret")
    assert (await writer.ask("GET", f"/client-changes/{waits['id']}")).json()["state"] == "done"

    async def works(secret: str) -> bool:
        return (await provider.post("/token", {"grant_type": "client_credentials"}, "rotating", secret)).status_code == 200

    for _ in range(500):
        if await works(new):
            break
        await asyncio.sleep(0.02)
    assert (await works(new), await works(old), await works("x" * 43)) == (True, True, False)
    provider.clock.advance(101)
    assert (await works(new), await works(old)) == (True, False)
    assert_problem(
        await approver.ask("POST", "/clients/rotating/rotate-secret", {"overlap_seconds": -1}), 422, "bad_metadata", "overlap_seconds"
    )
    await add(writer, "keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri="https://new.example/keys")
    assert_problem(await writer.ask("POST", "/clients/keyed/rotate-secret"), 422, "bad_metadata", "token_endpoint_auth_method")


async def test_a_live_clients_secret_is_not_one_persons(writer: Administrator, approver: Administrator) -> None:
    await set_live(writer, approver, "coveted")
    answer = await approver.ask("POST", "/clients/coveted/rotate-secret", {"overlap_seconds": 86_400})
    waits = answer.json()["change"]["id"]
    assert (answer.status_code, answer.json()["client"]["version"]) == (202, 3), "nothing is changed yet"
    assert_problem(await approver.ask("POST", f"/client-changes/{waits}/approve"), 403, "own_request")
    assert_problem(await approver.ask("POST", f"/client-changes/{waits}/take-secret"), 409, "no_secret")


async def test_a_secret_that_was_approved_is_not_taken_later(provider: Provider, writer: Administrator, approver: Administrator) -> None:
    await set_live(writer, approver, "untaken")
    first, second = [(await writer.ask("POST", "/clients/untaken/rotate-secret")).json().get("change", {}).get("id") for _ in range(2)]
    assert (bool(first), second) == (True, None), "one waits at a time"
    await approver.ask("POST", f"/client-changes/{first}/approve")
    await writer.ask("POST", "/clients/untaken/suspend")
    assert_problem(await writer.ask("POST", f"/client-changes/{first}/take-secret"), 409, "no_secret")


async def test_the_secret_of_another_method_is_for_whoever_asked(writer: Administrator, approver: Administrator) -> None:
    await set_live(writer, approver, "opened", token_endpoint_auth_method="none")
    waits = (await writer.change("opened", {"token_endpoint_auth_method": "client_secret_basic"})).json()["change"]["id"]
    approved = await approver.ask("POST", f"/client-changes/{waits}/approve")
    assert (approved.status_code, approved.json().keys()) == (200, {"client"})
    assert len((await writer.ask("POST", f"/client-changes/{waits}/take-secret")).json()["client_secret"]) >= 43


async def test_a_resource_is_one_client(writer: Administrator, approver: Administrator) -> None:
    api = "https://records.example/api"
    await add(writer, "holder", resources=[api])
    taken = await writer.ask("POST", "/clients", {**NEW, "client_id": "aa-other", "resources": ["https://a.example", api]})
    assert api in assert_problem(taken, 422, "bad_metadata", "resources")["detail"]
    assert_problem(await writer.ask("GET", "/clients/aa-other"), 404, "no_client")
    await set_live(writer, approver, "wishing")
    assert_problem(await writer.change("wishing", {"resources": [api]}), 422, "bad_metadata", "resources")
    await add(writer, "moving", resources=["https://b.example"])
    assert_problem(await writer.change("moving", {"resources": [api]}), 422, "bad_metadata", "resources")
    assert (await writer.change("moving", {"resources": ["https://c.example"]})).status_code == 200
    await add(writer, "gets-what-is-free", resources=["https://b.example"])
    await approver.ask("POST", "/clients/holder/retire")
    assert (await writer.change("moving", {"resources": [api]})).status_code == 200


async def test_of_two_who_want_one_resource_at_once_one_gets_it(writer: Administrator) -> None:
    wanted = ["https://contested.example/1", "https://contested.example/2"]
    answers = await asyncio.gather(
        *(writer.ask("POST", "/clients", {**NEW, "client_id": f"racing-{n}", "resources": wanted[:: 1 - n % 2 * 2]}) for n in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422, 422, 422]


@pytest.mark.parametrize("resource", [ADMIN, f"{ADMIN}/clients", "HTTP://127.0.0.1:8000/userinfo"])
async def test_nobody_is_the_provider_itself(writer: Administrator, resource: str) -> None:
    assert_problem(await writer.ask("POST", "/clients", {**NEW, "resources": [resource]}), 422, "bad_metadata", "resources")


async def test_nobody_appoints_an_approver_by_the_api(provider: Provider, approver: Administrator) -> None:
    machine = {"grant_types": ["client_credentials"], "redirect_uris": []}
    assert_problem(await approver.ask("POST", "/clients", {**NEW, **machine, "scope": "clients:approve"}), 403, "operators_only")
    await add(approver, "helper", **machine)
    assert_problem(await approver.change("helper", {"scope": "clients:approve"}), 403, "operators_only")
    for path in ("rotate-secret", "suspend", "retire", "go-live"):
        assert_problem(await approver.ask("POST", f"/clients/writer/{path}"), 403, "operators_only")
    assert_problem(await approver.change("writer", {"client_name": "x"}), 403, "operators_only")


async def test_only_a_token_for_this_api_is_heard(provider: Provider, writer: Administrator) -> None:
    path = "/admin/v1/clients"
    for value in (None, "Basic x", "Bearer", "Bearer ", f"Basic {writer.token}"):
        answer = await provider.browser.get(path, headers={} if value is None else {"authorization": value})
        assert_problem(answer, 401, "invalid_token")
        challenges = answer.headers.get_list("www-authenticate")
        assert [challenge.split(" ")[0] for challenge in challenges] == ["Bearer", "DPoP"]
        assert not any("error" in challenge for challenge in challenges), "nothing was shown (RFC 6750 §3.1)"
    answer = await provider.browser.get(path, headers={"authorization": "Bearer x"})
    assert_problem(answer, 401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    without = await provider.post("/token", {"grant_type": "client_credentials"}, "writer")
    for_nobody = without.json()["access_token"]
    answer = await provider.browser.get(path, headers={"authorization": f"Bearer {for_nobody}"})
    assert_problem(answer, 403, "insufficient_scope")
    person = await provider.add_client("person-token", scopes=("profile",))
    tokens = await provider.get_tokens(person, await provider.open_session(await provider.add_person()), scope="openid")
    answer = await provider.browser.get(path, headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert_problem(answer, 403, "insufficient_scope")


async def test_the_right_scope_for_something_else_is_not_enough(provider: Provider) -> None:
    reader = await appoint(provider, "elsewhere", "clients:read")
    platform = provider.services.platform
    values = BearerValues(platform.data_keys.bearer("bearer", platform.random))
    token = values.open(AccessToken, reader.token)
    assert token is not None
    other = values.seal(msgspec.structs.replace(token, audience="https://other.example"))
    assert_problem(await replace(reader, token=other).ask("GET", "/clients"), 403, "insufficient_scope")
    assert (await replace(reader, token=values.seal(token)).ask("GET", "/clients")).status_code == 200


async def test_scopes_are_what_they_say(provider: Provider) -> None:
    reader = await appoint(provider, "reader", "clients:read")
    assert (await reader.ask("GET", "/clients")).status_code == 200
    assert_problem(await reader.ask("POST", "/clients", NEW), 403, "insufficient_scope")
    form = {"grant_type": "client_credentials", "resource": ADMIN, "scope": "clients:write"}
    assert (await provider.post("/token", form, "reader")).json()["error"] == "invalid_scope"
    await provider.add_client("outsider", grant_types=("client_credentials",), redirect_uris=())
    form = {"grant_type": "client_credentials", "resource": ADMIN}
    assert (await provider.post("/token", form, "outsider")).json()["error"] == "invalid_target"


async def test_suspending_an_administrator_holds_at_once(provider: Provider) -> None:
    gone = await appoint(provider, "gone", "clients:read")
    assert (await gone.ask("GET", "/clients")).status_code == 200
    await provider.execute("UPDATE clients SET status = 'suspended', version = version + 1 WHERE client_id = 'gone'")
    assert_problem(await gone.ask("GET", "/clients"), 401, "invalid_token")


async def test_what_is_not_there_is_a_problem_too(provider: Provider, writer: Administrator) -> None:
    assert_problem(await writer.ask("GET", "/clients/nobody"), 404, "no_client")
    assert_problem(await writer.ask("GET", "/clients/%00"), 404, "no_client")
    assert_problem(await writer.ask("GET", f"/clients/{'x' * 200}"), 404, "no_client")
    assert_problem(await writer.ask("GET", "/nothing"), 404, "not_found")
    answer = await writer.ask("PUT", "/clients")
    assert_problem(answer, 405, "method_not_allowed")
    assert {method.strip() for method in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}
    large = await provider.browser.post("/admin/v1/clients", content=b"x" * 70_000, headers={"authorization": f"Bearer {writer.token}"})
    assert_problem(large, 413, "form_too_large")


async def test_the_document_describes_every_operation(provider: Provider) -> None:
    answer = await provider.browser.get("/admin/v1/openapi.json")
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/admin/v1/clients/{client_id}"]["patch"]["requestBody"]["content"].keys() == {
        "application/json",
        "application/merge-patch+json",
    }
    text = json.dumps(document)
    for reference in {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]
    assert "redirect_uris" in document["components"]["schemas"]["ClientPatch"]["properties"]


async def test_a_bound_token_counts_with_its_key_alone(provider: Provider) -> None:
    await provider.services.platform.transients.born_at()
    provider.clock.advance(120)
    await appoint(provider, "bound", "clients:read")
    form, auth = {"grant_type": "client_credentials", "resource": ADMIN}, ("bound", provider.secrets["bound"])
    answer = await provider.browser.post("/token", data=form, auth=auth, headers={"dpop": prove(provider)})
    token, url = answer.json()["access_token"], f"{ADMIN}/clients"

    async def ask(scheme: str, proof: str | None) -> httpx2.Response:
        headers = {"authorization": f"{scheme} {token}", **({"dpop": proof} if proof else {})}
        return await provider.browser.get("/admin/v1/clients", headers=headers)

    assert (await ask("DPoP", prove_use(provider, token, htu=url))).status_code == 200
    stolen = prove_use(provider, token, ECKey.generate_key("P-256", auto_kid=False), htu=url)
    for scheme, proof in (("Bearer", None), ("DPoP", None), ("DPoP", stolen), ("DPoP", prove_use(provider, token, htu=url, htm="POST"))):
        answer = await ask(scheme, proof)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
