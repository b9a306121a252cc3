"""Decides which claims a person's own data can fill."""

from idp.people.rules.profile import Profile
from idp.protocol.rules.claims import ClaimValue


def describe_profile(profile: Profile) -> dict[str, ClaimValue]:
    """Return every claim that a person's own data can fill (OpenID Connect Core §5.1); absent data gives no claim."""
    claims: dict[str, ClaimValue] = {"name": profile.name, "locale": profile.locale, "updated_at": int(profile.updated_at.timestamp())}
    if profile.gender is not None:
        claims["gender"] = profile.gender.value
    if profile.birthdate is not None:
        claims["birthdate"] = profile.birthdate.isoformat()
    if profile.phone is not None:
        claims["phone_number"] = profile.phone.value
        claims["phone_number_verified"] = True
    if profile.document is not None:
        claims["id_document"] = {"type": profile.document.kind.value, "number": profile.document.value}
    return claims
