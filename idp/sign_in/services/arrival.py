"""Decides how a registration belongs to the flow that asked for it: kept with it, begun anew when lost, and ended in a session."""

from dataclasses import replace

from idp.authenticators.stores import known_devices
from idp.kernel.audit_events import Detail, Kind
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import encode_base64url
from idp.kernel.levels import Factor, Proved
from idp.people.rules.person import check_standing
from idp.people.rules.refusals import DraftExpired
from idp.people.rules.registration import Draft
from idp.people.services.directory import People
from idp.people.services.requester import Requester
from idp.platform.database import Database
from idp.sign_in.rules import device
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.rules.interaction_format import read_interaction, write_interaction
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.rules.steps import drop_stale
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.visits import Continue, Visit


class Arrival:
    """What leads from a registration back to where the person wanted to go."""

    def __init__(
        self,
        database: Database,
        interactions: Interactions,
        sessions: Sessions,
        people: People,
        records: SignInRecords,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._interactions = interactions
        self._sessions = sessions
        self._people = people
        self._records = records
        self._clock = clock
        self._random = random

    def keep(self, interaction: Interaction) -> str:
        """Return what a registration remembers of its flow: enough to begin the same request again."""
        return write_interaction(interaction).decode()

    async def renew(self, draft: Draft, browser_cookie: str, address: str) -> Interaction:
        """Begin the flow of a registration anew, for this browser: the one before ended or was lost. Raises DraftExpired."""
        kept = read_interaction(draft.flow, draft.origin.encode())
        if kept is None:
            raise DraftExpired
        return await self._interactions.begin(
            kept.kind,
            browser_cookie,
            request=kept.request,
            client_id=kept.client_id,
            department=kept.department,
            department_en=kept.department_en,
            home_url=kept.home_url,
            wanted=kept.wanted,
            language=kept.language,
            fresh_after=kept.fresh_after,
            address=address,
        )

    async def open(self, held: Held, draft: Draft, visit: Visit) -> Continue:
        """Open the session of somebody who registered just now: the phone's code and the password were proved on the way.

        Raises StepRepeated when the flow moved meanwhile, DraftExpired when the account may not sign in any more.
        """
        if draft.person_id is None or draft.phone_proved_at is None or draft.password_at is None:
            raise DraftExpired
        person_id = draft.person_id
        known = await self._people.find_by_id(person_id)
        if known is None or check_standing(known.standing.status) is not None:
            raise DraftExpired
        replaced = await self._sessions.read(visit.session_cookie) or await self._sessions.find_replaced(visit.session_cookie)
        moved = replace(held.interaction, person_id=person_id, proved=(), sends=0, unreachable_by=None)
        held = await self._interactions.replace(held, moved)
        shown = (Proved(Factor.SMS, draft.phone_proved_at), Proved(Factor.PASSWORD, draft.password_at))
        proved = drop_stale(shown, self._clock())
        if not proved:
            raise DraftExpired
        device_cookie = encode_base64url(self._random(device.COOKIE_BYTES))
        device_hash = device.hash_device(device_cookie)
        async with self._database.transaction() as tx:
            now = await self._people.hold(tx, person_id)
            if now is None or now.status is not known.standing.status:
                raise StepRepeated
            # Whoever ended the first session of the account, or recovered it, ended what the registration had proved.
            if now.recovered_at is not None or await self._sessions.has_ended(tx, person_id):
                raise DraftExpired
            if device_hash is not None:
                await known_devices.remember(tx, person_id, device_hash, self._clock())
            opened = await self._sessions.open(
                tx, person_id, proved, device_hash, visit.place, replaces=replaced, request_id=visit.request_id
            )
            amr = " ".join(p.factor.value for p in proved)
            details: dict[str, Detail] = {"amr": amr, "new_device": True, "way": "registration"}
            await self._records.record(tx, Kind.SIGN_IN_SUCCEEDED, person_id, held.interaction, visit, details)
        return Continue(held, opened.cookie, device_cookie)


def make_requester(visit: Visit, interaction: Interaction) -> Requester:
    """Return what the services of people know of a visit in a flow. A newcomer's device is the browser that began the flow."""
    return replace(visit.ask_for(interaction.client_id), device_hash=visit.device_hash or interaction.browser_hash)
