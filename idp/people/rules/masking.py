"""Decides how much of a person's data the owner's own page shows (formats.md §6; GB/T 35273 §7.2)."""


def mask_document(number: str) -> str:
    """Return an 18-character number as first 3, 11 stars, last 4, so the birth date is hidden; shorter ones keep less."""
    if len(number) == 18:
        return number[:3] + "*" * 11 + number[-4:]
    kept = 2 if len(number) >= 8 else 0
    return number[:1] + "*" * (len(number) - 1 - kept) + number[len(number) - kept :] if kept else "*" * len(number)


def mask_phone(number: str) -> str:
    """Return ``138****8000`` for a mainland number with or without ``+86``; anything else keeps its last 4 at most."""
    local = number.removeprefix("+86")
    if len(local) == 11:
        return f"{local[:3]}****{local[-4:]}"
    return "*" * max(len(local) - 4, 4) + local[-4:] if len(local) > 8 else "*" * len(local)


def mask_name(name: str) -> str:
    """Return the name with the surname hidden (``*三``); names with ``·`` keep only the last character; one character → ``*``."""
    if len(name) <= 1:
        return "*"
    if "·" in name:
        return "*" * (len(name) - 1) + name[-1]
    return "*" + name[1:]
