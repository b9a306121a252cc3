"""Decides what looking after oneself is made of: the door of "my account", and every page behind it that is about sign-in and data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.routing import BaseRoute

from idp.authenticators.services.codes import Codes
from idp.authenticators.services.passkeys import Passkeys
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.services.throttle import Throttle
from idp.composition import Platform
from idp.http.rendering import Pages
from idp.people.services.directory import People
from idp.protocol.endpoints.releases import ReleasesPage
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.releases import Releases
from idp.sign_in.pages.account import AccountPage
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.pages.account_freeze import AccountFreezePage
from idp.sign_in.pages.account_own_data import AccountOwnDataPage
from idp.sign_in.pages.account_passkeys import AccountPasskeysPage
from idp.sign_in.pages.account_password import AccountPasswordPage
from idp.sign_in.pages.account_sessions import AccountSessionsPage
from idp.sign_in.services.account import Account
from idp.sign_in.services.account_freeze import AccountFreeze
from idp.sign_in.services.account_history import AccountHistory
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.account_own_data import AccountOwnData
from idp.sign_in.services.account_passkeys import AccountPasskeys
from idp.sign_in.services.account_password import AccountPassword
from idp.sign_in.services.account_profile import AccountProfile
from idp.sign_in.services.account_sessions import AccountSessions, EndGrants
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.portal import Portal
from idp.sign_in.services.sessions import Sessions


@dataclass(frozen=True)
class OwnAccount:
    """What app.py joins: the pages, and the door that further pages of the account are entered by."""

    door: AccountDoor
    routes: Sequence[BaseRoute]


def build_own_account(
    *,
    platform: Platform,
    pages: Pages,
    interactions: Interactions,
    portal: Portal,
    sessions: Sessions,
    people: People,
    passwords: Passwords,
    passkeys: Passkeys,
    throttle: Throttle,
    codes: Codes,
    directory: ClientDirectory,
    end_grants: EndGrants,
) -> OwnAccount:
    """Build the pages on which people look after themselves. ``end_grants`` ends what departments were granted."""
    database, data_keys, audit, clock = platform.database, platform.data_keys, platform.audit_log, platform.clock
    idle = timedelta(seconds=platform.settings.sign_in.session_idle_seconds)
    places = data_keys.sealer("places")
    account = Account(sessions, people, data_keys.mac("codes"))
    door = AccountDoor(pages, account, interactions, portal)
    history = AccountHistory(database, places, clock)
    releases = Releases(database, directory, history, audit, clock)
    profile = AccountProfile(database, people, data_keys.sealer("people"))
    own_sessions = AccountSessions(database, account, sessions, audit, places, clock, idle, end_grants)
    notices = AccountNotices(platform.outbox, clock)
    password = AccountPassword(database, account, own_sessions, notices, sessions, people, passwords, throttle, audit, clock)
    freeze = AccountFreeze(database, account, people, notices, audit)
    own_data = AccountOwnData(database, account, people, codes, platform.transients, notices, audit, clock)
    own_passkeys = AccountPasskeys(database, account, own_sessions, notices, people, passkeys, audit, clock)
    routes: list[BaseRoute] = [
        *AccountPage(pages, door, account, profile, history, releases.name_client).routes(),
        *AccountOwnDataPage(pages, door, own_data).routes(),
        *AccountSessionsPage(pages, door, own_sessions, releases.name_client).routes(),
        *AccountPasswordPage(pages, door, password).routes(),
        *AccountPasskeysPage(pages, door, own_passkeys).routes(),
        *AccountFreezePage(pages, door, freeze, own_sessions).routes(),
        *ReleasesPage(pages, door, releases).routes(),
    ]
    return OwnAccount(door, routes)
