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
