"""Decides what answering other devices is made of: kiosks (RFC 8628), counters and the hotline (CIBA), and the pages of the person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from idp.composition import Platform
from idp.http.rendering import Pages
from idp.people.services.directory import People
from idp.platform.afterwards import Afterwards
from idp.platform.ledger import Ledger
from idp.platform.outbox import Handler
from idp.protocol.endpoints.approval import ApprovalPage
from idp.protocol.endpoints.backchannel_authentication import BackchannelAuthenticationEndpoint, WaitingRequestsPage
from idp.protocol.endpoints.device import DeviceAuthorizationEndpoint, DevicePage
from idp.protocol.rules.client import GrantType, find_usable_statuses
from idp.protocol.rules.decoupled_request import Kind
from idp.protocol.services.backchannel_authentication import PING, BackchannelAuthentication
from idp.protocol.services.ciba_pings import CibaPings
from idp.protocol.services.client_authentication import ClientAuthentication
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.decoupled_approval import DecoupledApproval
from idp.protocol.services.decoupled_grant import DecoupledGrant
from idp.protocol.services.decoupled_requests import DecoupledRequests
from idp.protocol.services.device_authorization import DeviceAuthorization
from idp.protocol.services.device_codes import DeviceCodes
from idp.protocol.services.grant_endings import GrantEndings
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.issuing import Issuing
from idp.protocol.services.request_objects import RequestObjects
from idp.protocol.services.tokens import GrantHandler
from idp.protocol.stores.standing import StandingReads
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.session_links import SessionLinks
from idp.sign_in.services.sessions import Sessions


@dataclass(frozen=True)
class OtherDevices:
    """What app.py joins: machine endpoints by path, pages, grants, and the continuation of the flow."""

    endpoints: Mapping[str, ASGIApp]
    routes: Sequence[BaseRoute]
    grants: Mapping[GrantType, GrantHandler]
    approval: DecoupledApproval


def build_other_devices(
    *,
    platform: Platform,
    pages: Pages,
    door: AccountDoor,
    interactions: Interactions,
    sessions: Sessions,
    people: People,
    directory: ClientDirectory,
    objects: RequestObjects,
    standings: StandingReads,
    links: SessionLinks,
    authentication: ClientAuthentication,
    id_tokens: IdTokens,
    issuing: Issuing,
    endings: GrantEndings,
    ledger: Ledger,
    afterwards: Afterwards,
) -> OtherDevices:
    """Build everything around requests that are answered on another device."""
    settings, clock, random = platform.settings, platform.clock, platform.random
    database, transients, audit = platform.database, platform.transients, platform.audit_log
    requests = DecoupledRequests(transients, clock, random)
    usable = find_usable_statuses(settings.environment)
    approval = DecoupledApproval(database, interactions, requests, directory, standings, links, audit, usable, clock, random)
    notices = AccountNotices(platform.outbox, clock)
    backchannel = BackchannelAuthentication(
        database,
        transients,
        requests,
        objects,
        people,
        id_tokens,
        notices,
        platform.outbox,
        audit,
        afterwards,
        clock,
        limited=settings.protocol.backchannel_limits,
    )
    device = DeviceAuthorization(requests, ledger, audit, settings.server.issuer)
    codes = DeviceCodes(transients, requests, settings.sign_in.failures_per_network)
    return OtherDevices(
        endpoints={
            "/device_authorization": DeviceAuthorizationEndpoint(authentication, device),
            "/bc-authorize": BackchannelAuthenticationEndpoint(authentication, backchannel),
        },
        routes=[
            *DevicePage(pages, interactions, codes, approval).routes(),
            *ApprovalPage(pages, interactions, sessions, approval, backchannel, clock).routes(),
            *WaitingRequestsPage(pages, door, interactions, backchannel, approval, directory, clock).routes(),
        ],
        grants={
            GrantType.DEVICE_CODE: DecoupledGrant(Kind.DEVICE, requests, ledger, audit, issuing, endings, random),
            GrantType.CIBA: DecoupledGrant(Kind.CIBA, requests, ledger, audit, issuing, endings, random),
        },
        approval=approval,
    )


def make_ping_handlers(platform: Platform) -> dict[str, Handler]:
    """Return what the worker does with pings (CIBA §10.2)."""
    return {PING: CibaPings(ClientDirectory(platform.database, platform.clock), platform.fetcher).deliver}
