"""Decides what scripts in a browser may know of its sign-in: whether it is another one than before (Session Management §3.2)."""

import base64
import hashlib


def make_browser_state(session_hash: bytes) -> str:
    """Return the state of a browser with this session; the session's own hash cannot be found from it."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"browser state\0" + session_hash).digest()).rstrip(b"=").decode()
