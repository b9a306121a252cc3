"""Decides what a log line is: one JSON object on standard error, and nothing in it that looks like a person or a secret."""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
MASK = "***"
LONGEST_TEXT = 4_000
"""Characters of one text; more is cut."""

_SECRETS = {"password", "code", "token", "secret", "client_secret", "code_verifier", "authorization", "cookie", "query"}
_PERSON = {"identifier", "id_number", "phone", "name", "address", "birthdate"}
_ITEMS = {"social_security_card", "bank_card", "bank_phone", "housing_fund_account", "driver_license_file_number"}
NEVER_LOGGED = frozenset(_SECRETS | _PERSON | _ITEMS)
"""Field names that are masked whatever they hold."""

_PERSONAL = re.compile(
    r"""
    (?<![0-9A-Za-z]) (?:
        [1-9] \d{5} (?:18|19|20) \d{2} (?:0[1-9]|1[0-2]) (?:0[1-9]|[12]\d|3[01]) \d{3} [\dXx]   # GB 11643 and its kin
      | [A-Za-z]{3} \d{6} (?:0[1-9]|1[0-2]) (?:0[1-9]|[12]\d|3[01]) \d{2}                         # foreign permanent resident, 2017
      | [3-6] \d{3} (?:[ ]? \d){12,15}                                                            # bank card, 16 digits and more
      | (?:\+?86[- ]?)? 1[3-9]\d[- ]?\d{4}[- ]?\d{4}                                              # mobile number
    ) (?![0-9A-Za-z])
    """,
    re.VERBOSE,
)
_BEARER = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}")


def mask_text(text: str) -> str:
    """Return the text without identity numbers, mobile numbers, JWTs, authorization values and passwords of addresses."""
    return _BEARER.sub(MASK, _PERSONAL.sub(MASK, text[:LONGEST_TEXT]))


def mask_value(value: Any, depth: int = 0) -> Any:
    """Return any value as something that can be logged, every text in it masked."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        masked = mask_text(str(value))
        return value if masked == str(value) else masked
    if isinstance(value, str):
        return mask_text(value)
    if depth >= 4:
        return "…"
    if isinstance(value, Mapping):
        return {mask_text(str(key)): MASK if str(key) in NEVER_LOGGED else mask_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray | memoryview):
        return [mask_value(item, depth + 1) for item in value]
    return f"<{type(value).__name__}>" if isinstance(value, bytes | bytearray | memoryview) else mask_text(str(value))


def mask_event(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The last processor before rendering: whatever the others added is masked too."""
    return {key: MASK if key in NEVER_LOGGED else mask_value(value) for key, value in event.items()}


def render_event(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Render one line of JSON."""
    return msgspec.json.encode(event).decode("utf-8")


def describe_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replace ``exc_info`` by the error's type and where it was raised: an error's text may quote a person's data, so it stays out."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        event["error"] = type(error).__qualname__
        places = []
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            places.append(f"{trace.tb_frame.f_globals.get('__name__', '?')}:{code.co_name}:{trace.tb_lineno}")
            trace = trace.tb_next
        event["at"] = places[-12:]
        if error.__cause__ is not None:
            event["cause"] = type(error.__cause__).__qualname__
    return event


class _StandardHandler(logging.Handler):
    """Takes what libraries log by the standard library into the same lines."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        try:
            exception = record.exc_info if record.exc_info and record.exc_info[1] else None
            self._logger.log(record.levelno, record.getMessage(), source=record.name, exc_info=exception)
        except Exception:
            self.handleError(record)


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Send everything from ``level`` up to ``stream`` (standard error); called once, by the command that starts the process."""
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
        mask_event,
        render_event,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_StandardHandler(structlog.get_logger())]
    root.setLevel(max(LEVELS[level], logging.WARNING) if level != "debug" else logging.INFO)


def get_logger(name: str) -> Any:
    """Return the logger of a module; fields are keyword arguments: ``log.info("flush failed", rows=3)``."""
    return structlog.get_logger(source=name)
