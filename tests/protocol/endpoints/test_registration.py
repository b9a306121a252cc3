"""Clients register themselves and look after it (RFC 7591, RFC 7592, OpenID Connect Registration): what they get, and every refusal."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey
from structlog.testing import capture_logs

from idp.composition import SettingRefused
from idp.protocol.services.dynamic_registration import InitialTokens
from tests.support.provider import Provider, run_provider

CALLBACK = "https://new.example/callback"
ISSUER_OF_STATEMENTS = "https://software.example"
KEY = ECKey.generate_key("P-256", {"kid": "statements"}, private=True)
MANAGED = ("registration_access_token", "registration_client_uri", "client_id_issued_at", "client_secret", "client_secret_expires_at")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's providers, which share a database, have their keys."""
    return tmp_path_factory.mktemp("provider")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, folder: Path) -> AsyncIterator[Provider]:
    """A provider at which clients register by token or statement."""
    keys = folder / "statements.json"
    keys.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    async with run_provider(
        service_dsn,
        folder,
        IDP_CLIENT_REGISTRATION__MODE="token",
        IDP_CLIENT_REGISTRATION__STATEMENT_ISSUERS=json.dumps({ISSUER_OF_STATEMENTS: str(keys)}),
        IDP_CLIENT_REGISTRATION__ATTEMPTS_PER_NETWORK_AND_HOUR="1000",
        IDP_FETCHING__LOOPBACK="true",
    ) as running:
        yield running


async def issue_token(provider: Provider, uses: int = 1, life: timedelta = timedelta(hours=1)) -> str:
    platform = provider.services.platform
    tokens = InitialTokens(platform.audit_log, platform.clock, platform.random)
    async with platform.database.transaction() as tx:
        return await tokens.issue(tx, "department-7", uses, life, actor="test")


def bear(token: str | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token}"}


async def register(provider: Provider, token: str | None = None, **metadata: Any) -> httpx2.Response:
    document = {"redirect_uris": [CALLBACK], **metadata}
    return await provider.browser.post("/connect/register", json=document, headers=bear(token))


async def registered(provider: Provider, **metadata: Any) -> dict[str, Any]:
    answer = await register(provider, await issue_token(provider), **metadata)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def as_update(told: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**{name: value for name, value in told.items() if name not in MANAGED}, **changes}


async def read_actor(provider: Provider, told: dict[str, Any]) -> str:
    (event,) = [event for event in await provider.read_events("client_added") if event["client_id"] == told["client_id"]]
    actor: str = event["actor"]
    return actor


def path_of(told: dict[str, Any]) -> str:
    return told["registration_client_uri"].removeprefix("http://127.0.0.1:8000")


async def test_what_a_client_gets_that_says_nothing_else(provider: Provider) -> None:
    told = await registered(provider)
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["id_token_signed_response_alg"] == "RS256"
    assert told["grant_types"] == ["authorization_code"]
    assert told["response_types"] == ["code"]
    assert told["application_type"] == "web"
    assert told["subject_type"] == "pairwise"
    assert told["scope"].startswith("openid profile")
    assert told["client_secret_expires_at"] == 0
    assert "entitlements" not in told
    client = await provider.services.directory.find(told["client_id"])
    assert client is not None
    assert (client.status, client.sector, client.requires_pkce, client.entitlements) == ("sandbox", "host:new.example", True, ())
    metadata = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert metadata["registration_endpoint"] == "http://127.0.0.1:8000/connect/register"
    assert await read_actor(provider, told) == "token:department-7"


async def test_a_registered_client_signs_people_in(provider: Provider) -> None:
    told = await registered(provider, redirect_uris=["https://department.example/callback"])
    provider.secrets[told["client_id"]] = told["client_secret"]
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens(told["client_id"], cookies, scope="openid")
    assert tokens["id_token"]


async def test_an_initial_token_counts_its_uses_and_ends(provider: Provider) -> None:
    twice = await issue_token(provider, uses=2)
    answers = await asyncio.gather(*(register(provider, twice) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 401, 401]
    assert (await register(provider, twice)).json()["error"] == "invalid_token"
    short = await issue_token(provider, life=timedelta(minutes=1))
    provider.clock.advance(61)
    assert (await register(provider, short)).status_code == 401


async def test_a_refused_registration_does_not_use_the_token_up(provider: Provider) -> None:
    token = await issue_token(provider)
    assert (await register(provider, token, redirect_uris=["http://new.example/"])).status_code == 400
    assert (await register(provider, token)).status_code == 201


def challenge(token: str | None) -> str:
    """Return what RFC 6750 §3 owes to whoever shows this token: no error where none was shown (§3.1)."""
    return 'Bearer realm="registration"' if token is None else 'Bearer error="invalid_token"'


@pytest.mark.parametrize("token", [None, "", "x" * 43])
async def test_nobody_registers_without_a_token(provider: Provider, token: str | None) -> None:
    answer = await register(provider, token)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_token"
    assert answer.headers["www-authenticate"] == challenge(token)


@pytest.mark.parametrize(
    ("error", "metadata"),
    [
        ("invalid_redirect_uri", {"redirect_uris": ["http://new.example/callback"]}),
        ("invalid_redirect_uri", {"redirect_uris": ["https://new.example/callback#x"]}),
        ("invalid_redirect_uri", {"redirect_uris": []}),
        ("invalid_redirect_uri", {"redirect_uris": "https://new.example/callback"}),
        ("invalid_redirect_uri", {"redirect_uris": ["http://["]}),
        ("invalid_redirect_uri", {"redirect_uris": [7]}),
        ("invalid_client_metadata", {"redirect_uris": ["https://a.example/", "https://b.example/"]}),
        ("invalid_client_metadata", {"response_types": ["code id_token"]}),
        ("invalid_client_metadata", {"response_types": ["token"]}),
        ("invalid_client_metadata", {"response_types": "code"}),
        ("invalid_client_metadata", {"grant_types": ["implicit"]}),
        ("invalid_client_metadata", {"grant_types": ["client_credentials"], "response_types": ["code"]}),
        ("invalid_client_metadata", {"grant_types": ["authorization_code"], "response_types": []}),
        ("invalid_client_metadata", {"subject_type": "public"}),
        ("invalid_client_metadata", {"id_token_signed_response_alg": "HS256"}),
        ("invalid_client_metadata", {"id_token_signed_response_alg": "none"}),
        ("invalid_client_metadata", {"token_endpoint_auth_method": "client_secret_jwt"}),
        ("invalid_client_metadata", {"token_endpoint_auth_method": "private_key_jwt"}),
        ("invalid_client_metadata", {"token_endpoint_auth_method": "tls_client_auth"}),
        ("invalid_client_metadata", {"jwks_uri": "http://new.example/keys"}),
        ("invalid_client_metadata", {"jwks": {"keys": []}}),
        ("invalid_client_metadata", {"jwks": "{}"}),
        ("invalid_client_metadata", {"client_name": "x" * 101}),
        ("invalid_client_metadata", {"client_name": 7}),
        ("invalid_client_metadata", {"scope": ["profile"]}),
        ("invalid_client_metadata", {"logo_uri": "javascript:alert(1)"}),
        ("invalid_client_metadata", {"frontchannel_logout_uri": "https://other.example/out"}),
        ("invalid_client_metadata", {"sector_identifier_uri": "https://127.0.0.1:1/sector"}),
    ],
)
async def test_bad_metadata_are_named(provider: Provider, error: str, metadata: dict[str, Any]) -> None:
    answer = await register(provider, await issue_token(provider), **metadata)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xff", b'{"redirect_uris":' + b"[" * 40 + b"]" * 40 + b"}", b" " * 50_000]
)
async def test_a_body_that_is_no_object_is_refused(provider: Provider, body: bytes) -> None:
    headers = {**bear(await issue_token(provider)), "content-type": "application/json"}
    answer = await provider.browser.post("/connect/register", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_client_metadata", "invalid_redirect_uri")


async def test_what_is_the_operators_is_ignored(provider: Provider) -> None:
    told = await registered(
        provider,
        entitlements=[{"purpose": "p", "basis": "statutory_duty", "claims": ["name"]}],
        sector="somebody-else",
        status="live",
        minimum_acr="urn:yizheng:acr:low",
        requires_pkce=False,
        resources=["https://api.example"],
        scope="openid profile clients:write nonsense",
        unheard_of=True,
    )
    assert told["scope"] == "openid profile"
    client = await provider.services.directory.find(told["client_id"])
    assert client is not None
    assert (client.sector, client.status, client.resources, client.requires_pkce) == ("host:new.example", "sandbox", (), True)


async def test_a_registration_is_read_replaced_and_removed(provider: Provider) -> None:
    told = await registered(provider, client_name="Before", contacts=["x@new.example"])
    path, token = path_of(told), told["registration_access_token"]
    read = await provider.browser.get(path, headers=bear(token))
    assert read.status_code == 200
    assert read.json() == {name: value for name, value in told.items() if not name.startswith("client_secret")}

    update = as_update(told, client_name="After", client_secret=told["client_secret"])
    del update["contacts"]
    replaced = await provider.browser.put(path, json=update, headers=bear(token))
    assert replaced.status_code == 200, replaced.text
    assert (replaced.json()["client_name"], "contacts" in replaced.json(), "client_secret" in replaced.json()) == ("After", False, False)
    provider.secrets[told["client_id"]] = told["client_secret"]

    removed = await provider.browser.delete(path, headers=bear(token))
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await provider.browser.get(path, headers=bear(token))).status_code == 401
    answer = await provider.post("/token", {"grant_type": "authorization_code", "code": "x"}, told["client_id"])
    assert answer.json()["error"] == "invalid_client"


async def test_a_new_way_to_authenticate_brings_the_secret_it_needs(provider: Provider) -> None:
    told = await registered(provider, token_endpoint_auth_method="none", application_type="native", redirect_uris=["http://127.0.0.1/cb"])
    assert "client_secret" not in told
    path, token = path_of(told), told["registration_access_token"]
    update = as_update(told, token_endpoint_auth_method="client_secret_post")
    replaced = (await provider.browser.put(path, json=update, headers=bear(token))).json()
    assert len(replaced["client_secret"]) >= 43
    again = (await provider.browser.put(path, json=update, headers=bear(token))).json()
    assert "client_secret" not in again


async def test_an_update_is_for_this_client_and_holds_nothing_of_ours(provider: Provider) -> None:
    told = await registered(provider)
    path, token = path_of(told), told["registration_access_token"]
    for wrong in (
        {"client_id": "another"},
        {"client_secret": "x" * 43},
        {"client_secret": 7},
        {"registration_access_token": token},
        {"registration_client_uri": "https://x.example"},
        {"client_id_issued_at": 1},
        {"client_secret_expires_at": 0},
    ):
        answer = await provider.browser.put(path, json=as_update(told, **wrong), headers=bear(token))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata"), wrong


async def test_only_the_client_itself_reaches_its_registration(provider: Provider) -> None:
    one, other = await registered(provider), await registered(provider)
    for token in (None, "", "x", other["registration_access_token"], await issue_token(provider)):
        for method in ("GET", "PUT", "DELETE"):
            answer = await provider.browser.request(method, path_of(one), json=as_update(one), headers=bear(token))
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
            assert answer.headers["www-authenticate"] == challenge(token)
    for name in ("nobody", "%00", "a%00b", "%EF%BF%BE", "%F0%9F%98%80", f"{one['client_id']}%00", "x" * 65, "a b"):
        answer = await provider.browser.get(f"/connect/register/{name}", headers=bear(one["registration_access_token"]))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), name
    twice = [("authorization", f"Bearer {one['registration_access_token']}"), ("authorization", "Bearer x")]
    assert (await provider.browser.delete(path_of(one), headers=twice)).status_code == 401, "which of them is meant?"


async def test_what_is_live_is_no_longer_changed_by_itself(provider: Provider) -> None:
    told = await registered(provider)
    await provider.execute("UPDATE clients SET status = 'live', version = version + 1 WHERE client_id = $1", told["client_id"])
    token = told["registration_access_token"]
    assert (await provider.browser.get(path_of(told), headers=bear(token))).status_code == 200
    for method in ("PUT", "DELETE"):
        answer = await provider.browser.request(method, path_of(told), json=as_update(told), headers=bear(token))
        assert answer.status_code == 403


def make_statement(provider: Provider, key: ECKey = KEY, typ: str | None = None, **claims: Any) -> str:
    """Return a statement of an hour; a claim that is None is left out."""
    now = int(provider.clock().timestamp())
    said = {"iss": ISSUER_OF_STATEMENTS, "iat": now, "exp": now + 3600, **claims}
    header = {"alg": "ES256", "kid": "statements", **({} if typ is None else {"typ": typ})}
    return jwt.encode(header, {name: value for name, value in said.items() if value is not None}, key)


async def test_a_software_statement_vouches_for_metadata(provider: Provider) -> None:
    statement = make_statement(
        provider, client_name="Vouched", redirect_uris=["https://vouched.example/cb"], software_id="s-1", sector="stolen"
    )
    answer = await register(provider, None, client_name="Claimed", software_statement=statement)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["client_name"], told["redirect_uris"], told["software_id"]) == ("Vouched", ["https://vouched.example/cb"], "s-1")
    assert told["software_statement"] == statement
    assert await read_actor(provider, told) == f"statement:{ISSUER_OF_STATEMENTS}"


async def test_a_software_statement_is_kept_and_goes_on_vouching(provider: Provider) -> None:
    vouched: dict[str, Any] = {"client_name": "Vouched", "redirect_uris": ["https://vouched.example/cb"]}
    statement = make_statement(provider, **vouched)
    told = (await register(provider, None, software_statement=statement)).json()
    own = bear(told["registration_access_token"])
    provider.clock.advance(7_200)  # its own time is over
    assert (await provider.browser.get(path_of(told), headers=own)).json()["software_statement"] == statement
    for brought in ({}, {"software_statement": statement}, {"software_statement": None}):
        claimed = {
            "client_id": told["client_id"],
            "client_name": "Claimed",
            "redirect_uris": [CALLBACK],
            "client_uri": "https://new.example/",
        }
        answer = await provider.browser.put(path_of(told), json={**claimed, **brought}, headers=own)
        assert answer.status_code == 200, answer.text
        assert {name: answer.json()[name] for name in vouched} == vouched
        assert (answer.json()["software_statement"], answer.json()["client_uri"]) == (statement, "https://new.example/")
    stale = await provider.browser.put(
        path_of(told), json={**claimed, "software_statement": make_statement(provider, exp=int(provider.clock().timestamp()))}, headers=own
    )
    assert stale.json()["error"] == "invalid_software_statement"
    newer = make_statement(provider, client_name="Vouched anew", redirect_uris=["https://vouched.example/new"])
    answer = await provider.browser.put(path_of(told), json={**claimed, "software_statement": newer}, headers=own)
    assert (answer.json()["client_name"], answer.json()["software_statement"]) == ("Vouched anew", newer)
    read = (await provider.browser.get(path_of(told), headers=own)).json()
    assert (read["redirect_uris"], read["software_statement"]) == (["https://vouched.example/new"], newer)


async def test_a_client_that_registered_by_token_may_bring_a_statement_later(provider: Provider) -> None:
    told = await registered(provider)
    assert "software_statement" not in told
    own, statement = bear(told["registration_access_token"]), make_statement(provider, client_name="Vouched")
    answer = await provider.browser.put(path_of(told), json=as_update(told, software_statement=statement), headers=own)
    assert (answer.json()["client_name"], answer.json()["software_statement"]) == ("Vouched", statement)


@pytest.mark.parametrize(
    "said",
    [
        {"typ": "JWT"},
        {"typ": "application/software-statement+jwt"},
        {"aud": "http://127.0.0.1:8000"},
        {"aud": ["https://elsewhere.example", "http://127.0.0.1:8000/connect/register"]},
    ],
)
async def test_a_software_statement_for_us_is_heard(provider: Provider, said: dict[str, Any]) -> None:
    assert (await register(provider, None, software_statement=make_statement(provider, **said))).status_code == 201


async def test_a_software_statement_that_does_not_hold_is_refused(provider: Provider) -> None:
    now = int(provider.clock().timestamp())
    stranger = ECKey.generate_key("P-256", {"kid": "statements"}, private=True)
    for error, statement in (
        ("invalid_software_statement", "x"),
        ("invalid_software_statement", 7),
        ("invalid_software_statement", make_statement(provider, stranger)),
        ("invalid_software_statement", make_statement(provider, exp=now - 1)),
        ("invalid_software_statement", make_statement(provider, nbf=now + 60)),
        ("invalid_software_statement", make_statement(provider, exp="soon")),
        ("invalid_software_statement", make_statement(provider, exp=None)),
        ("invalid_software_statement", make_statement(provider, iat=None)),
        ("invalid_software_statement", make_statement(provider, iat=now + 120)),
        ("invalid_software_statement", make_statement(provider, iat=now - 367 * 86_400)),
        ("invalid_software_statement", make_statement(provider, iat=10**400)),
        ("invalid_software_statement", make_statement(provider, iat=-(10**400))),
        ("invalid_software_statement", make_statement(provider, nbf=10**400)),
        ("invalid_software_statement", make_statement(provider, exp=-(10**400))),
        ("invalid_software_statement", make_statement(provider, aud="https://elsewhere.example")),
        ("invalid_software_statement", make_statement(provider, aud=["https://elsewhere.example", 7])),
        ("invalid_software_statement", make_statement(provider, typ="logout+jwt")),
        ("invalid_software_statement", make_statement(provider, typ="at+jwt")),
        ("unapproved_software_statement", make_statement(provider, iss="https://stranger.example")),
    ):
        answer = await register(provider, await issue_token(provider), software_statement=statement)
        assert (answer.status_code, answer.json()["error"]) == (400, error)


@asynccontextmanager
async def serve_document(document: object, head: str = "200 OK\r\ncontent-type: application/json") -> AsyncIterator[str]:
    body = json.dumps(document).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n" % (head.encode(), len(body)) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sector"


async def test_a_sector_document_joins_hosts_only_when_it_lists_every_address(provider: Provider) -> None:
    uris = ["https://a.example/cb", "https://b.example/cb"]
    for document, status in ((uris, 201), ([*uris, "https://c.example/cb"], 201), (uris[:1], 400), ({"uris": uris}, 400), ("x", 400)):
        async with serve_document(document) as address:
            answer = await register(provider, await issue_token(provider), redirect_uris=uris, sector_identifier_uri=address)
        assert answer.status_code == status, answer.text


async def test_what_became_of_asking_for_a_sector_document_is_told_to_the_operator_alone(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CWE-918, CWE-203: nobody learns from us which names there are within, and what answers there."""
    inner = {"intranet.example": ["100.64.1.2"], "mixed.example": ["127.0.0.1", "100.64.1.2"]}

    async def look_up(host: str, port: int) -> list[str]:
        if host not in inner:
            raise OSError
        return inner[host]

    answers = []
    with capture_logs() as lines:
        with monkeypatch.context() as patch:
            patch.setattr(provider.services.platform.fetcher, "_resolve", look_up)
            for host in (*inner, "nothing.example"):
                answers.append(await register(provider, await issue_token(provider), sector_identifier_uri=f"https://{host}/sector"))
        for head in ("403 Forbidden", "200 OK\r\ncontent-type: text/plain"):
            async with serve_document([], head) as address:
                answers.append(await register(provider, await issue_token(provider), sector_identifier_uri=address))
    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(400, "invalid_client_metadata")}
    assert len({answer.text for answer in answers}) == 1
    told = [(line["host"], line["reason"]) for line in lines if line["event"] == "sector_unreadable"]
    assert told[:3] == [("intranet.example", "network"), ("mixed.example", "network"), ("nothing.example", "name")]
    assert told[3:] == [("127.0.0.1", "status_403"), ("127.0.0.1", "type")]


async def test_whoever_is_reached_otherwise_joins_a_sector_by_his_keys_alone(provider: Provider) -> None:
    keys = "https://a.example/keys"
    machine = {
        "redirect_uris": [],
        "response_types": [],
        "grant_types": ["urn:openid:params:grant-type:ciba"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": keys,
    }
    for document, status in ((["https://a.example/cb"], 400), ([keys], 201)):
        async with serve_document(document) as address:
            answer = await register(provider, await issue_token(provider), **machine, sector_identifier_uri=address)
        assert answer.status_code == status, answer.text


async def test_a_network_that_asks_without_end_is_stopped(provider: Provider, service_dsn: str, folder: Path) -> None:
    chosen = {"IDP_CLIENT_REGISTRATION__MODE": "open", "IDP_CLIENT_REGISTRATION__ATTEMPTS_PER_NETWORK_AND_HOUR": "2"}
    async with run_provider(service_dsn, folder, **chosen) as running:
        running.clock.advance(90_000)
        assert [(await register(running)).status_code for _ in range(3)] == [201, 201, 503]


async def test_a_token_that_asks_without_end_is_stopped(provider: Provider) -> None:
    told = await registered(provider)
    token = told["registration_access_token"]
    answers = [await provider.browser.get(path_of(told), headers=bear(token)) for _ in range(121)]
    assert {answer.status_code for answer in answers[:120]} == {200}
    assert (answers[120].status_code, answers[120].json()["error"]) == (503, "temporarily_unavailable")


async def test_who_does_not_open_the_door_has_none(provider: Provider, service_dsn: str, folder: Path) -> None:
    async with run_provider(service_dsn, folder) as running:
        assert (await running.browser.post("/connect/register", json={})).status_code == 404
        assert "registration_endpoint" not in (await running.browser.get("/.well-known/openid-configuration")).json()


@pytest.mark.parametrize(("file", "content"), [("empty", '{"keys":[]}'), ("broken", "x"), ("absent", None)])
async def test_a_statement_issuer_without_keys_is_one_sentence(
    provider: Provider, service_dsn: str, folder: Path, file: str, content: str | None
) -> None:
    if content is not None:
        (folder / file).write_text(content)
    chosen = {"IDP_CLIENT_REGISTRATION__MODE": "token"}
    chosen["IDP_CLIENT_REGISTRATION__STATEMENT_ISSUERS"] = json.dumps({"https://x.example": str(folder / file)})
    with pytest.raises(SettingRefused, match=r"client_registration\.statement_issuers"):
        async with run_provider(service_dsn, folder, **chosen):
            pass
