"""Decides how a person is told by message that their account was changed: in the transaction that changes it."""

from collections.abc import Mapping

from idp.kernel.clock import Clock
from idp.people.rules.identifiers import Phone
from idp.platform.database import Transaction
from idp.platform.outbox import Outbox
from idp.sign_in.rules.account_notice import LIFE, shorten_name, write_time

MESSAGE = "sms"


class AccountNotices:
    """Messages about the account."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock

    async def add(
        self, tx: Transaction, phone: Phone | None, masked_name: str, template: str, more: Mapping[str, str] | None = None
    ) -> None:
        """Let ``template`` go to the person's phone, in the caller's transaction; nothing happens for who has none.

        ``more`` are its values beside name and time.
        """
        if phone is None:
            return
        now = self._clock()
        parameters = {"name": shorten_name(masked_name), "time": write_time(now), **(more or {})}
        await self._outbox.add(tx, MESSAGE, {"phone": phone.value, "template": template, "parameters": parameters}, now + LIFE)
