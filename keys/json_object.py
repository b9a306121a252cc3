"""Decides which JSON a token may carry: one object, no name twice, no number but finite ones, and nothing that exhausts the parser."""

import json
from typing import Any, NoReturn


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the object, UTF-8; ValueError for everything else, also for a name given twice (RFC 7519 §4) at any depth."""
    try:
        value = _DECODER.decode(raw.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


MAX_DEPTH = 16


def parse_bounded_object(raw: bytes) -> dict[str, Any]:
    """Return the object as parse_object does, of somebody who is not us.

    ValueError also when it is nested deeper than MAX_DEPTH, and for half of a surrogate pair (RFC 8259 §8.2): such a text is none that
    could be sent on, kept or compared as UTF-8.
    """
    value = parse_object(raw)
    if b"\\ud" in raw.lower() and not _is_whole(value):
        raise ValueError("half of a surrogate pair")
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _list_inner(outer)]
        if not level:
            return value
    raise ValueError("nested too deep")


def _is_whole(value: dict[str, Any]) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _list_inner(outer: dict[str, Any] | list[Any]) -> list[Any]:
    return [inner for inner in (outer.values() if isinstance(outer, dict) else outer) if isinstance(inner, dict | list)]


def _refuse_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name is given twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


# Made once: json.loads would make one on each call.
_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_repetition, parse_constant=_refuse_constant, parse_float=_read_float)
