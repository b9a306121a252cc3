"""Decides which claims a person's own data can fill."""

from idp.kernel.clock import SHANGHAI
from idp.people.rules.postal_address import COUNTRY, PostalAddress
from idp.people.rules.profile import Profile
from idp.protocol.rules.claims import ClaimValue


def describe_profile(profile: Profile) -> dict[str, ClaimValue]:
    """Return every claim that a person's own data can fill (OpenID Connect Core §5.1); absent data gives no claim.

    An e-mail address is what the person says of themselves: no message is ever sent to it, so ``email_verified`` is always false.
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
    if profile.email is not None:
        claims["email"] = profile.email.value
        claims["email_verified"] = False
    if profile.address is not None:
        claims["address"] = _describe_address(profile.address)
    if profile.document is not None:
        claims["id_document"] = {"type": profile.document.kind.value, "number": profile.document.value}
    return claims


def _describe_address(address: PostalAddress) -> dict[str, str]:
    """Return the members of OpenID Connect Core §5.1.1 that there are: province, city with district, street and house, code, country."""
    members = {
        "formatted": address.write(),
        "street_address": address.detail,
        "locality": address.locality,
        "region": address.province,
        "postal_code": address.postal_code,
        "country": COUNTRY,
    }
    return {name: value for name, value in members.items() if value}
