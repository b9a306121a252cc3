"""Decides which ends of a sign-in leave offline access as it was: those in the browser itself (OpenID Connect Core §11), and no other."""

from typing import Final

SIGNED_OUT: Final = "signed out"
REPLACED: Final = "replaced"
REPLACED_BY_ANOTHER: Final = "replaced by another person"
REPLACED_BY_APP: Final = "replaced by the app's sign-in"

LEAVES_OFFLINE_ACCESS: Final = (SIGNED_OUT, REPLACED, REPLACED_BY_ANOTHER, REPLACED_BY_APP)
"""Reasons of ended sessions. Whatever ends a sign-in for another one ends every grant of it."""
