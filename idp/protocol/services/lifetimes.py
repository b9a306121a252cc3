"""Decides how long what the protocol hands out may live (protocol.md §2)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lifetimes:
    """How long things live, in seconds."""

    code: int = 60
    access_token: int = 300
    refresh_idle: int = 28_800
    offline: int = 2_592_000
    session_idle: int = 1_800
