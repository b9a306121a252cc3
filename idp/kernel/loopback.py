"""Decides which host names lead nowhere but to the machine that asks."""

from typing import Final

LOOPBACK: Final = ("localhost", "127.0.0.1")
"""As an issuer may be called. Browsers make passkeys for a name, not for an address, so the name comes first."""
