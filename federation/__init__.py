"""Decides how we trust other provinces: OpenID Federation 1.0. Knows neither the identity provider nor its keys.

What is here: the entity configuration (§3, §9), built through a ``Signer`` and read through a ``Verifier`` that the application provides.
What is not here yet: subordinate statements, trust chains, metadata policies, trust marks, and everything that fetches."""

from federation.entity_statement import (
    ENTITY_STATEMENT_TYP,
    MAX_AUTHORITY_HINTS,
    MAX_LIFE,
    MAX_STATEMENT,
    EntityConfiguration,
    build_entity_configuration,
    parse_entity_configuration,
)
from federation.errors import InvalidEntityStatement
from federation.signatures import Signer, Verifier

__all__ = [
    "ENTITY_STATEMENT_TYP",
    "MAX_AUTHORITY_HINTS",
    "MAX_LIFE",
    "MAX_STATEMENT",
    "EntityConfiguration",
    "InvalidEntityStatement",
    "Signer",
    "Verifier",
    "build_entity_configuration",
    "parse_entity_configuration",
]
