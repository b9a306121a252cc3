"""Decides the words of a "no" on the account's own pages."""

from typing import ClassVar

from idp.kernel.errors import Refusal


class FreezeImpossible(Refusal):
    """An account in this state cannot be frozen by its owner: it is being closed, or its state changed just now."""

    code: ClassVar[str] = "freeze_impossible"


class CurrentPasswordWrong(Refusal):
    """The current password, which a change of password asks for, is wrong."""

    code: ClassVar[str] = "current_password_wrong"


class PasswordUnchanged(Refusal):
    """The new password is the one that it should replace."""

    code: ClassVar[str] = "password_unchanged"


class LastWayIn(Refusal):
    """Without this passkey nothing would be left to sign in with."""

    code: ClassVar[str] = "last_way_in"


class OwnDatumUnchanged(Refusal):
    """What was typed is what is kept already."""

    code: ClassVar[str] = "own_datum_unchanged"
