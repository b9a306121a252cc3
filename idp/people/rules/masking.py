"""Decides how much of a person's data the owner's own page shows (formats.md §6; GB/T 35273 §7.2)."""

import re
from typing import Final

_DOUBLE: Final = (
    "欧阳司马上官诸葛东方皇甫尉迟公孙慕容令狐宇文长孙司徒司空夏侯端木百里东郭南宫独孤呼延轩辕闻人申屠太史澹台"
    "公冶宗政濮阳淳于单于钟离鲜于闾丘亓官拓跋夹谷宰父谷梁段干万俟赫连第五"
)
DOUBLE_SURNAMES: Final = frozenset(_DOUBLE[place : place + 2] for place in range(0, len(_DOUBLE), 2))
"""Surnames of two characters; of a longer name that begins with one both are hidden."""

_NOT_CHINESE: Final = re.compile("[^\u2e80-\U0003ffff]")
"""The middle dot, letters, spaces: which part of such a name is the surname cannot be told."""


def mask_document(number: str) -> str:
    """Return an 18-character number as first 3, 11 stars, last 4, so the birth date is hidden; shorter ones keep less."""
    if len(number) == 18:
        return number[:3] + "*" * 11 + number[-4:]
    kept = 2 if len(number) >= 8 else 0
    return number[:1] + "*" * (len(number) - 1 - kept) + number[len(number) - kept :] if kept else "*" * len(number)


def mask_item(number: str) -> str:
    """Return four stars and the last 4 of a card's or an account's number; the last 2 when it has fewer than 9 characters."""
    kept = 4 if len(number) > 8 else 2
    return "****" + number[-kept:] if len(number) > 4 else "****"


def mask_phone(number: str) -> str:
    """Return ``138****8000`` for a mainland number with or without ``+86``; anything else keeps its last 4 at most."""
    local = number.removeprefix("+86")
    if len(local) == 11:
        return f"{local[:3]}****{local[-4:]}"
    return "*" * max(len(local) - 4, 4) + local[-4:] if len(local) > 8 else "*" * len(local)


def mask_email(address: str) -> str:
    """Return ``z***@example.com``: the first character before the @, none of a part of one character, and the domain."""
    local, _, domain = address.partition("@")
    return f"{local[:1] if len(local) > 1 else ''}***@{domain}"


def mask_address(area: str) -> str:
    """Return province, city and district as they are; street and house are hidden, and how long their names are."""
    return f"{area}****"


def mask_name(name: str) -> str:
    """Return the name with the surname hidden (``*三``).

    Names with ``·``, foreign ones and those of more than four characters keep only the last one; one character becomes ``*``.
    """
    if len(name) <= 1:
        return "*"
    if len(name) > 4 or _NOT_CHINESE.search(name):
        return "*" * (len(name) - 1) + name[-1]
    surname = 2 if len(name) > 2 and name[:2] in DOUBLE_SURNAMES else 1
    return "*" * surname + name[surname:]
