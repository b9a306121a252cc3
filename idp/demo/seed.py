"""Decides what the demo knows at its start: four synthetic accounts and three departments' systems; a second start keeps all."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from idp.app import Services, build_services
from idp.composition import open_platform
from idp.demo.population import PASSWORD, REGISTERED, SyntheticPerson, make_person
from idp.kernel.checks import CheckKind
from idp.kernel.clock import SHANGHAI, read_system_clock, read_system_random
from idp.kernel.ids import make_uuid7
from idp.kernel.levels import Acr
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import parse_id_number, parse_phone
from idp.people.rules.person import Status
from idp.people.rules.postal_address import PostalAddress
from idp.people.services.directory import NewPerson
from idp.people.services.proofing import Case
from idp.people.services.registration import PURPOSE
from idp.people.services.requester import Requester
from idp.platform.child_processes import write_private
from idp.protocol.rules.client import Basis, Client, Entitlement, GrantType
from idp.protocol.rules.client_metadata import About, LogoutAddresses, RequestDemands
from idp.settings import Settings

ACTOR = "demo"
LEVELS = (3, 3, 3, 2)
VERIFIED_BY_ITEMS = 3
"""The level of whom the register and two further authorities know."""

STATUSES = (Status.ACTIVE, Status.ACTIVE, Status.BANNED, Status.ACTIVE)


@dataclass(frozen=True)
class SampleDepartment:
    """A department of the demo and the website that runs for it (the last one has none)."""

    client_id: str
    title: str
    title_en: str
    sector: str
    scopes: tuple[str, ...]
    entitlements: tuple[Entitlement, ...]
    place: int


DEPARTMENTS = (
    SampleDepartment(
        client_id="land-registry",
        title="不动产登记中心（样例）",
        title_en="Land registry (sample)",
        sector="自然资源",
        scopes=("profile", "real_name", "phone"),
        entitlements=(
            Entitlement(
                "不动产登记", Basis.STATUTORY_DUTY, ("name", "phone_number", "phone_number_verified"), purpose_en="Land registration"
            ),
        ),
        place=1,
    ),
    SampleDepartment(
        client_id="provident-fund",
        title="住房公积金管理中心（样例）",
        title_en="Housing provident fund (sample)",
        sector="住房公积金",
        scopes=("profile", "real_name"),
        entitlements=(Entitlement("公积金缴存与提取", Basis.STATUTORY_DUTY, ("name",), purpose_en="Deposits and withdrawals"),),
        place=2,
    ),
    SampleDepartment(
        client_id="reading-card",
        title="公共图书馆读者证（样例）",
        title_en="Library card (sample)",
        sector="文化",
        scopes=("profile",),
        entitlements=(Entitlement("办理读者证", Basis.CONSENT, ("name", "birthdate"), purpose_en="Issuing a library card"),),
        place=2,
    ),
)
"""Two departments that act by statutory duty and need no consent page, and a third client that asks for consent."""


APP_PLACE = 3
APP = "province-app"
APP_TITLE = "政务服务应用（样例）"


def find_websites_host(issuer: str) -> str:
    """Return the host of the samples' addresses: browsers keep cookies from a site that is called otherwise than the provider's."""
    return "localhost" if urlsplit(issuer).hostname == "localhost" else "127.0.0.1"


def make_app_registration(host: str, port: int) -> Client:
    """Return how the sample app is registered when the provider listens on ``port``: its web view opens both departments."""
    address = f"http://{host}:{port + APP_PLACE}"
    return Client(
        client_id=APP,
        name=APP_TITLE,
        name_en="Government services app (sample)",
        sector="政务服务应用",
        redirect_uris=(f"{address}/callback",),
        post_logout_redirect_uris=(f"{address}/",),
        grant_types=frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN, GrantType.TOKEN_EXCHANGE}),
        scopes=("real_name", "device_sso"),
        requests=RequestDemands(front_ticket_targets=tuple(d.client_id for d in DEPARTMENTS[:2])),
        minimum_acr=Acr.SUBSTANTIAL,
        status="live",
    )


class SecretLost(Exception):
    """A client exists but its secret file does not."""


def make_registration(department: SampleDepartment, host: str, port: int) -> Client:
    """Return how a sample department is registered when the provider listens on ``port``."""
    address = f"http://{host}:{port + department.place}"
    # Our worker asks for itself where the website listens: the name may mean another address to it.
    told_at = f"http://127.0.0.1:{port + department.place}/backchannel-logout"
    has_website = next(d for d in DEPARTMENTS if d.place == department.place) is department
    return Client(
        client_id=department.client_id,
        name=department.title,
        name_en=department.title_en,
        sector=department.sector,
        redirect_uris=(f"{address}/callback",),
        post_logout_redirect_uris=(f"{address}/",),
        logout=LogoutAddresses(backchannel_logout_uri=told_at if has_website else None),
        about=About(initiate_login_uri=f"{address}/login" if has_website else None),
        scopes=department.scopes,
        entitlements=department.entitlements,
        minimum_acr=Acr.SUBSTANTIAL,
        status="live",
    )


async def seed(settings: Settings, secrets: Path) -> None:
    """Add what is missing and refresh what ages: addresses after a change of port, the operator's match of the demo's phones."""
    platform = await open_platform(settings, read_system_clock, read_system_random)
    try:
        services = build_services(platform)
        host, port = find_websites_host(settings.server.issuer), settings.server.port
        for department in DEPARTMENTS:
            registration = make_registration(department, host, port)
            await _seed_client(services, registration, secrets / f"{department.client_id}.secret")
        await _seed_client(services, make_app_registration(host, port), secrets / f"{APP}.secret")
        for number in range(REGISTERED):
            await _seed_person(services, number)
    finally:
        await platform.close()


async def _seed_client(services: Services, registration: Client, secret_file: Path) -> None:
    known = await services.directory.find(registration.client_id)
    async with services.platform.database.transaction() as tx:
        if known is None:
            secret = await services.clients.add(tx, registration, actor=ACTOR)
            _write_secret(secret_file, secret or "")
            return
        if not os.path.exists(secret_file):  # noqa: ASYNC240 - one look at a local file, once at the start
            raise SecretLost(f"The secret of {registration.client_id} is gone; begin anew with --reset.")
        moved = replace(
            known,
            redirect_uris=registration.redirect_uris,
            post_logout_redirect_uris=registration.post_logout_redirect_uris,
            logout=registration.logout,
            about=registration.about,
        )
        if moved != known:
            await services.clients.replace(tx, moved, actor=ACTOR)


def _write_secret(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, secret + "\n")


async def _seed_person(services: Services, number: int) -> None:
    person = make_person(number)
    now = read_system_clock()
    known = await services.people.find_by_identifier(person.id_number)
    if known is not None:
        await services.people.refresh_phone_match(known.standing.person_id, now)
        return
    verifier = await services.passwords.hash(PASSWORD)
    document = parse_id_number(person.id_number, now.astimezone(SHANGHAI).date())
    phone = parse_phone(person.phone)
    new = NewPerson(
        person.name,
        document,
        phone,
        LEVELS[number],
        verifier,
        now,
        STATUSES[number],
        email=EmailAddress(f"synthetic-{number}@example.com"),
        address=PostalAddress("福建省", "福州市", "鼓楼区", f"合成路{number + 1}号", "350001"),
    )
    person_id = await services.people.add_person(new)
    if LEVELS[number] == VERIFIED_BY_ITEMS and document is not None and phone is not None:
        case = Case(make_uuid7(read_system_clock, read_system_random), person.name, document, phone, PURPOSE, person_id=person_id)
        checks = {CheckKind.IDENTITY: "", CheckKind.PHONE: phone.value, CheckKind.SOCIAL_SECURITY_CARD: person.social_security_card}
        # As at a registration: what departments read of it (``verified_claims``) is what the simulated authorities answer.
        await services.enrolment.proofing.ask(case, checks, Requester())


def find_account() -> SyntheticPerson:
    """Return the ready-made account that the demo announces."""
    return make_person(0)
