"""Decides who a person is on the Django site: the account whose name is the `sub`, never an address or a name."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import HttpRequest
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

Claims = dict[str, Any]


class ProvinceBackend(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """The library finds and makes accounts by `email`, which nobody verified here; these are its own methods for doing otherwise."""

    def verify_token(self, token: str, **kwargs: Any) -> Claims:
        """Return the ID Token's claims. The library verifies signature, times and nonce; issuer and audience are left to us."""
        claims: Claims = super().verify_token(token, **kwargs)
        if claims["iss"] != settings.OIDC_ISSUER or claims["aud"] != settings.OIDC_RP_CLIENT_ID:
            raise SuspiciousOperation("The ID Token is of another issuer or for another client.")
        return claims

    def get_userinfo(self, access_token: str, id_token: str, payload: Claims) -> Claims:
        """Return UserInfo, which must be about the person of the ID Token (OpenID Connect Core §5.3.2)."""
        userinfo: Claims = super().get_userinfo(access_token, id_token, payload)
        if userinfo.get("sub") != payload["sub"]:
            raise SuspiciousOperation("UserInfo is about somebody else.")
        self.request.session["claims"] = {"id_token": payload, "userinfo": userinfo}
        return userinfo

    def verify_claims(self, claims: Claims) -> bool:
        """Let in whoever was really checked."""
        return claims.get("real_name_verified") is True

    def filter_users_by_claims(self, claims: Claims) -> QuerySet[AbstractUser]:
        """Return the account of this `sub`."""
        return self.UserModel.objects.filter(username=claims["sub"])

    def create_user(self, claims: Claims) -> AbstractUser:
        """Make the account at the first visit."""
        return self.UserModel.objects.create_user(claims["sub"], claims.get("email", ""), first_name=claims.get("name", ""))

    def update_user(self, user: AbstractUser, claims: Claims) -> AbstractUser:
        """Take over a changed name and e-mail address."""
        user.first_name, user.email = claims.get("name", ""), claims.get("email", "")
        user.save(update_fields=["first_name", "email"])
        return user


def write_logout_url(request: HttpRequest) -> str:
    """Return where the browser ends the province's session; `OIDC_STORE_ID_TOKEN` keeps the hint."""
    query = {"id_token_hint": request.session["oidc_id_token"], "post_logout_redirect_uri": settings.HOME}
    return f"{settings.END_SESSION_ENDPOINT}?{urlencode(query)}"
