"""Decides which JSON is read from outside: bounded, not nested deep, no name twice, no NaN (architecture decision 18)."""

import json
from typing import NoReturn

MAX_DEPTH = 16

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


def parse_json(text: str, limit: int) -> Json:
    """Return the value of a JSON text of at most ``limit`` characters.

    ValueError for everything else, also for a name given twice (RFC 7493 §2.3) at any depth and for more than MAX_DEPTH levels. Its text
    may stand in an ``error_description``: ASCII without quotes or backslashes (RFC 6749 §5.2).
    """
    if len(text) > limit:
        raise ValueError("too long")
    try:
        value: Json = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at character {error.pos + 1}") from None
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError("nested too deep")
    if "\\ud" in text.lower() and not _is_whole(value):
        raise ValueError("half of a surrogate pair")  # RFC 8259 §8.2
    return value


def _is_whole(value: Json) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_deeper(value: Json, levels: int) -> bool:
    inner: list[Json] = [value]
    for _ in range(levels):
        inner = [below for outer in inner for below in _list_below(outer)]
        if not inner:
            return False
    return True


def _list_below(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _refuse_repetition(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
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


_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_repetition, parse_constant=_refuse_constant, parse_float=_read_float)
