"""Decides how a person's own account is shown: the overview, the profile, the history."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from idp.http.rendering import Pages
from idp.http.request_context import read_context
from idp.kernel.clock import SHANGHAI
from idp.people.rules.person import Status
from idp.people.rules.profile_change import OwnDatum
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.services.account import Account
from idp.sign_in.services.account_history import AccountHistory, Entry
from idp.sign_in.services.account_profile import AccountProfile
from idp.sign_in.services.portal import ACCOUNT

PROFILE = "/account/profile"
HISTORY = "/account/history"

DONE = tuple((datum, removed) for datum in OwnDatum for removed in (False, True))
"""What may just have been done to the profile: which datum, and whether it was removed."""

NameClient = Callable[[str, str], Awaitable[str]]
"""``(client id, language)`` → the department's name, "" for one that is not known any more; the protocol gives it."""


class AccountPage:
    """The pages that only show."""

    def __init__(
        self,
        pages: Pages,
        door: AccountDoor,
        account: Account,
        profile: AccountProfile,
        history: AccountHistory,
        name_client: NameClient,
    ) -> None:
        self._pages = pages
        self._door = door
        self._account = account
        self._profile = profile
        self._history = history
        self._name_client = name_client

    def routes(self) -> list[Route]:
        """Return the routes of these pages."""
        return [
            Route(ACCOUNT, self.show, methods=["GET"]),
            Route(PROFILE, self.show_profile, methods=["GET"]),
            Route(HISTORY, self.show_history, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show who one is here, how well one is known, and the ways to everything else."""
        context = read_context(request)
        owner = await self._door.enter(context, ACCOUNT)
        if isinstance(owner, Response):
            return owner
        return self._pages.render(
            context,
            "account.html",
            name=await self._account.read_name(owner),
            ial=owner.standing.ial,
            closing=owner.standing.status is Status.CLOSING,
        )

    async def show_profile(self, request: Request) -> Response:
        """Show what is recorded of the person, masked, and what was just changed."""
        context = read_context(request)
        owner = await self._door.enter(context, PROFILE)
        if isinstance(owner, Response):
            return owner
        told = request.query_params.get("done", "")
        done = next((d for d in DONE if told == self._door.mark_done(owner, name_done(d[0], removed=d[1]))), None)
        return self._pages.render(context, "account_profile.html", sheet=await self._profile.read(owner), done=done)

    async def show_history(self, request: Request) -> Response:
        """Show one page of what happened with the account, by day."""
        context = read_context(request)
        owner = await self._door.enter(context, HISTORY)
        if isinstance(owner, Response):
            return owner
        before = request.query_params.get("before", "")[:100]
        page = await self._history.read(owner, before)
        names = {one: await self._name_client(one, context.language) for one in {e.client_id for e in page.entries} if one is not None}
        return self._pages.render(
            context, "account_history.html", days=group_by_day(page.entries), names=names, older=page.older, newest=not before
        )


def name_done(datum: OwnDatum, *, removed: bool) -> str:
    """Return the text of the mark that says what was done to the profile."""
    return f"profile {datum.value} {'removed' if removed else 'saved'}"


def group_by_day(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Return the entries, which come in order, as one list for each day in Asia/Shanghai."""
    days: list[list[Entry]] = []
    for entry in entries:
        if days and days[-1][0].at.astimezone(SHANGHAI).date() == entry.at.astimezone(SHANGHAI).date():
            days[-1].append(entry)
        else:
            days.append([entry])
    return days
