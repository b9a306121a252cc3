"""Decides how a message reaches an SMS gateway. Knows nothing of the identity provider around it."""

from typing import TYPE_CHECKING, Any

from sms.aliyun import AliyunGateway
from sms.gateway import Action, Gateway, Receipt, ShortMessage, SmsRefused, SmsUnavailable
from sms.templates import TEMPLATES, MessageTemplate

if TYPE_CHECKING:
    from sms.simulator import SimulatorRefused, create_simulator, run_simulator

__all__ = [
    "TEMPLATES",
    "Action",
    "AliyunGateway",
    "Gateway",
    "MessageTemplate",
    "Receipt",
    "ShortMessage",
    "SimulatorRefused",
    "SmsRefused",
    "SmsUnavailable",
    "create_simulator",
    "run_simulator",
]

_SIMULATOR = frozenset({"SimulatorRefused", "create_simulator", "run_simulator"})


def __getattr__(name: str) -> Any:
    """Load the simulator only for who asks for it by name: a process that serves for real never holds it."""
    if name in _SIMULATOR:
        from sms import simulator

        return getattr(simulator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
