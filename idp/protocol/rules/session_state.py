"""Decides what a client is told of a browser's sign-in, so that it can ask later whether it changed (Session Management 1.0 §2)."""

import hashlib

from idp.protocol.rules.origins import find_origin

PATH = "/check-session"
SALT_BYTES = 16


def make_session_state(client_id: str, redirect_uri: str, browser_state: str, salt: str) -> str:
    """Return ``session_state`` for the client behind ``redirect_uri``; for its page our frame computes the same (§4.2)."""
    text = f"{client_id} {find_origin(redirect_uri)} {browser_state} {salt}"
    return f"{hashlib.sha256(text.encode()).hexdigest()}.{salt}"
