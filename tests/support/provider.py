"""A whole provider in the test's process: the real application on a real database, asked over ASGI, with a clock that the test moves."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import httpx2
from joserfc.jwk import ECKey

from idp.app import Services, build_app, build_services, follow_changes
from idp.composition import open_platform
from idp.http.cookies import CookieNames
from idp.kernel.audit_events import Place
from idp.kernel.clock import read_system_random
from idp.kernel.ids import encode_base64url
from idp.kernel.levels import Factor, Proved
from idp.people.rules.documents import find_check_character
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import parse_id_number, parse_phone
from idp.people.rules.person import Status
from idp.people.rules.postal_address import PostalAddress
from idp.people.services.directory import NewPerson
from idp.protocol.rules.client import AuthMethod, Client, GrantType
from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from idp.protocol.rules.client_metadata import ClientKeys
from idp.settings import load_settings
from tests.support.authorities import Authorities, simulate_authorities
from tests.support.clocks import ManualClock
from tests.support.foreign import sign_claims

ISSUER = "http://127.0.0.1:8000"
REDIRECT_URI = "https://department.example/callback"
BACK = "https://department.example/"
PASSWORD = "correct horse battery"
SESSION = CookieNames(ISSUER, "").session
TERMINAL_KEY: Any = ECKey.generate_key("P-256", {"kid": "terminal"}, auto_kid=False)


@dataclass(frozen=True)
class Somebody:
    """A synthetic person."""

    person_id: UUID
    document: str
    phone: str
    name: str


@dataclass
class Provider:
    """The provider with what a test does to it from outside."""

    services: Services
    clock: ManualClock
    browser: httpx2.AsyncClient
    secrets: dict[str, str] = field(default_factory=dict)
    keyed: set[str] = field(default_factory=set)
    made: int = 0
    authorities: Authorities = field(kw_only=True)

    async def add_client(self, client_id: str, **changes: Any) -> str:
        """Register a client (sector: its own id unless given; a terminal has a key); return its id."""
        given: dict[str, Any] = {
            "client_id": client_id,
            "name": f"部门{client_id}（样例）",
            "sector": client_id,
            "redirect_uris": (REDIRECT_URI,),
            "post_logout_redirect_uris": (BACK,),
            "scopes": ("profile", "phone", "real_name", "identity", "offline_access"),
            "status": "live",
            **changes,
        }
        given["grant_types"] = frozenset(given.get("grant_types", ("authorization_code",)))
        if GrantType.DEVICE_CODE in given["grant_types"]:
            given.setdefault("auth_method", AuthMethod.PRIVATE_KEY_JWT)
        if given.get("auth_method") is AuthMethod.PRIVATE_KEY_JWT and "keys" not in given:
            given["keys"] = ClientKeys(jwks=json.dumps({"keys": [TERMINAL_KEY.as_dict(private=False)]}))
            self.keyed.add(client_id)
        async with self.services.platform.database.transaction() as tx:
            secret = await self.services.clients.add(tx, Client(**given), actor="test")
        self.secrets[client_id] = secret or ""
        return client_id

    async def add_person(
        self, *, ial: int = 3, status: Status = Status.ACTIVE, matched_days_ago: float = 1, **more: EmailAddress | PostalAddress
    ) -> Somebody:
        """Add a synthetic person with document, phone and password; ``more`` is what they say of themselves: ``email``, ``address``."""
        self.made += 1
        seventeen = f"35010219900307{self.made:03d}"
        document = parse_id_number(seventeen + find_check_character(seventeen), self.clock().date())
        phone = parse_phone(f"138{self.made:08d}")
        assert document is not None
        assert phone is not None
        matched_at = self.clock() - timedelta(days=matched_days_ago)
        verifier = await self.services.passwords.hash(PASSWORD)
        name = f"测试{self.made}"
        new: Any = replace(NewPerson(name, document, phone, ial, verifier, matched_at, status), **cast(Any, more))
        person_id = await self.services.people.add_person(new)
        return Somebody(person_id, document.value, phone.value, name)

    async def open_session(self, person: Somebody, *factors: Factor) -> dict[str, str]:
        """Open a session as if the person had signed in; return its cookie."""
        proved = tuple(Proved(f, self.clock()) for f in factors or (Factor.PASSWORD, Factor.SMS))
        async with self.services.platform.database.transaction() as tx:
            opened = await self.services.sessions.open(tx, person.person_id, proved, None, Place("127.0.0.1"))
        return {SESSION: opened.cookie}

    async def authorize(self, client_id: str, cookies: dict[str, str] | None = None, **changes: str | None) -> "Landing":
        """Send an authorization request; return where it landed."""
        verifier = encode_base64url(read_system_random(32))
        parameters: dict[str, str | None] = {
            "client_id": client_id,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": "openid",
            "state": "state-1",
            "nonce": "nonce-1",
            "code_challenge": encode_base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **changes,
        }
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        response = await self.browser.get(f"/authorize?{query}", headers=_write_cookies(cookies))
        return Landing(response, verifier)

    async def post(self, path: str, form: dict[str, str], client_id: str | None = None, secret: str | None = None) -> httpx2.Response:
        """Post a form as a client authenticating by client_secret_basic, a terminal by private_key_jwt."""
        if client_id is None:
            return await self.browser.post(path, data=form)
        if client_id in self.keyed:
            return await self.browser.post(path, data={**form, **self._assert_key(client_id)})
        return await self.browser.post(path, data=form, auth=(client_id, self.secrets[client_id] if secret is None else secret))

    def _assert_key(self, client_id: str) -> dict[str, str]:
        now = int(self.clock().timestamp())
        jti = read_system_random(12).hex()
        claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "jti": jti, "iat": now, "exp": now + 60}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(TERMINAL_KEY, claims)}

    async def redeem(self, client_id: str, landing: "Landing", **changes: str) -> httpx2.Response:
        """Redeem the code of a landing."""
        form = {
            "grant_type": "authorization_code",
            "code": landing.code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": landing.verifier,
            **changes,
        }
        return await self.post("/token", form, client_id)

    async def get_tokens(self, client_id: str, cookies: dict[str, str], **changes: str | None) -> dict[str, Any]:
        """Authorize with a live session and redeem; return the token response."""
        response = await self.redeem(client_id, await self.authorize(client_id, cookies, **changes))
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    async def read_userinfo(self, access_token: str) -> httpx2.Response:
        """Ask UserInfo."""
        return await self.browser.get("/userinfo", headers={"authorization": f"Bearer {access_token}"})

    async def execute(self, statement: str, *arguments: object) -> None:
        """Run one statement of the test's own."""
        await self.services.platform.database.write(statement, *arguments)

    async def read_events(self, kind: str) -> list[dict[str, Any]]:
        """Return the audit rows of one kind, oldest first."""
        statement = "SELECT * FROM audit_events WHERE kind = $1 ORDER BY at, id"
        return [dict(row) for row in await self.services.platform.database.fetch(statement, kind)]

    def now(self) -> datetime:
        """Return the provider's instant."""
        return self.clock()


@dataclass(frozen=True)
class Landing:
    """Where an authorization request landed."""

    response: httpx2.Response
    verifier: str

    @property
    def location(self) -> str:
        """The address the browser was sent to."""
        return self.response.headers["location"]

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters at the client."""
        assert self.response.status_code == 303, self.response.text
        assert self.location.startswith(REDIRECT_URI), self.location
        return {name: values[0] for name, values in parse_qs(urlsplit(self.location).query).items()}

    @property
    def code(self) -> str:
        """The code at the client."""
        return self.parameters["code"]


def _write_cookies(cookies: dict[str, str] | None) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}


@asynccontextmanager
async def run_provider(service_dsn: str, folder: Path, **environ: str) -> AsyncIterator[Provider]:
    """Open a platform on a migrated database of environment ``demo`` and build the application on it.

    ``provider.authorities`` are its simulated authorities, in process; ``IDP_SOURCES__AUTHORITIES="{}"`` leaves them out.
    """
    clock = ManualClock()
    authorities = simulate_authorities(clock)
    settings = load_settings(
        None,
        {
            "IDP_ENVIRONMENT": "demo",
            "IDP_SERVER__ISSUER": ISSUER,
            "IDP_DATABASE__DSN": service_dsn,
            "IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": str(folder / "kek"),
            "IDP_AUDIT__CHECKPOINT_FILE": str(folder / "checkpoints.jsonl"),
            **authorities.write_settings(folder),
            **environ,
        },
    )
    platform = await open_platform(settings, clock, read_system_random, source_transport=authorities.transport)
    try:
        services = build_services(platform)
        async with follow_changes(services):
            transport = httpx2.ASGITransport(build_app(services))
            issuer = settings.server.issuer
            async with httpx2.AsyncClient(transport=transport, base_url=issuer, follow_redirects=False) as browser:
                yield Provider(services, clock, browser, authorities=authorities)
    finally:
        await platform.close()
