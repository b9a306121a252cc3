"""Decides which claims a person's own data can fill."""

from idp.kernel.clock import SHANGHAI
from idp.people.rules.profile import Profile
from idp.protocol.rules.claims import ClaimValue


def describe_profile(profile: Profile) -> dict[str, ClaimValue]:
    """Return every claim that a person's own data can fill (OpenID Connect Core §5.1); absent data gives no claim.

    ``updated_at`` is the beginning of the day (Asia/Shanghai): the second would tell one person from another between sectors.
    """
    day = profile.updated_at.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    claims: dict[str, ClaimValue] = {"name": profile.name, "locale": profile.locale, "updated_at": int(day.timestamp())}
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
