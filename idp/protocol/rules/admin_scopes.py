"""Decides what a client may do with other clients by the admin API: read them, change them, approve what somebody else changed."""

from enum import StrEnum
from typing import Final

PATH: Final = "/admin/v1"
"""Where the admin API is; with the issuer before it, the resource that its tokens are for (RFC 8707)."""


class AdminScope(StrEnum):
    """Scopes of the admin API. They are given by an operator's command alone, and only to a client that acts for itself."""

    READ = "clients:read"
    WRITE = "clients:write"
    APPROVE = "clients:approve"


ADMIN_SCOPES: Final = tuple(scope.value for scope in AdminScope)
