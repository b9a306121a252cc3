"""Decides the words of a step that cannot be taken: the flow is gone, belongs elsewhere, or moved on."""

from typing import ClassVar

from idp.kernel.errors import Refusal


class InteractionExpired(Refusal):
    """There is no such flow any more: too old or lost. The person starts again, at the department where it is known."""

    code: ClassVar[str] = "interaction_expired"


class InteractionFinished(Refusal):
    """The person is signed in by this flow already and went back to one of its pages."""

    code: ClassVar[str] = "interaction_finished"


class ForeignBrowser(Refusal):
    """The flow was begun in another browser."""

    code: ClassVar[str] = "foreign_browser"


class StepRepeated(Refusal):
    """The form was sent twice, or from a page that the flow has left behind; the flow itself goes on."""

    code: ClassVar[str] = "step_repeated"


class TooManyFlows(Refusal):
    """So many flows were begun from this network in the last minute that no more is; ``seconds`` to wait."""

    code: ClassVar[str] = "too_many_flows"


class LevelUnreachable(Refusal):
    """This account cannot reach the level that the department asks for."""

    code: ClassVar[str] = "level_unreachable"


class RecoveryDay(Refusal):
    """The department asks for more than one factor, and the password was recovered less than a day ago."""

    code: ClassVar[str] = "recovery_day"


class PasskeyOfAnother(Refusal):
    """The passkey belongs to another account than the one that this flow is about."""

    code: ClassVar[str] = "passkey_of_another"


class PasskeyMissing(Refusal):
    """The department asks for a sign-in that nobody can imitate, and the person has no passkey or cannot use it now."""

    code: ClassVar[str] = "passkey_missing"


class SecondFactorMissing(Refusal):
    """The page asks for two factors, and at the moment the person can prove only one."""

    code: ClassVar[str] = "second_factor_missing"


class BarredHere(Refusal):
    """The account may not sign in at this one department; everywhere else it may."""

    code: ClassVar[str] = "barred_here"
