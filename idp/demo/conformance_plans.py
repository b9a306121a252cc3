"""Decides what is pasted into the conformance suite: one JSON configuration for each plan, with commands that fill in our pages."""

from collections.abc import Mapping
from typing import Any

from idp.demo.conformance_clients import ALIAS, SCOPES, Credentials, Plan
from idp.demo.population import PASSWORD, make_person
from idp.kernel.levels import Acr
from idp.protocol.rules.client import AuthMethod

PATIENCE = 10
"""Seconds that the suite waits for a page."""

PRESS = ["click", "id", "submit"]
COMPLETE = ["wait", "id", "submission_complete", PATIENCE]
SHOWN = ["wait", "css", "h1", PATIENCE, ".+", "update-image-placeholder-optional"]
ERROR_SHOWN = ["wait", "css", "article[data-code]", PATIENCE, ".+", "update-image-placeholder"]
ERROR_PAGES = (
    "oidcc-ensure-registered-redirect-uri",
    "oidcc-ensure-redirect-uri-in-authorization-request",
    "oidcc-redirect-uri-query-added",
    "oidcc-redirect-uri-query-mismatch",
    "oidcc-redirect-uri-regfrag",
    "fapi2-security-profile-final-par-attempt-to-use-expired-request_uri",
    "fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client",
)
"""Modules that end on our error page."""

SIGNED_IN_ANEW = (
    "oidcc-prompt-login",
    "oidcc-max-age-1",
    "oidcc-registration-logo-uri",
    "oidcc-registration-policy-uri",
    "oidcc-registration-tos-uri",
)
"""Modules that want to see the sign-in page."""

LEAVING_HERE = (
    "bad-post-logout-redirect-uri",
    "query-added-to-post-logout-redirect-uri",
    "modified-id-token-hint",
    "bad-id-token-hint",
    "no-id-token-hint",
    "no-params",
    "no-post-logout-redirect-uri",
    "only-state",
)
"""Modules of the RP-initiated plan that end on a page of ours and nowhere else."""

REUSES = "fapi2-security-profile-final-par-attempt-reuse-request_uri"
LOOKS_FIRST = "fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds"
REJECTS = "fapi2-security-profile-final-user-rejects-authentication"
REFUSER = 1
"""The person who never agrees, so that there is always something to refuse."""


def write_configuration(
    plan: Plan, issuer: str, door: str, clients: Mapping[int, Credentials], secrets: Mapping[int, str], code: str
) -> dict[str, Any]:
    """Return the suite's configuration of a plan for its clients by place.

    ``door``: the address for certificates, "" without; ``secrets``: of the clients that have one.
    """
    near = door if plan.mtls else issuer
    configuration: dict[str, Any] = {
        "alias": ALIAS,
        "description": f"Yizheng, {plan.name}",
        "server": {"discoveryUrl": f"{issuer}/.well-known/openid-configuration"},
        **{_name("client", place): _write_client(plan, place, clients[place], secrets.get(place, "")) for place in clients},
        **{
            _name("mtls", place): {"cert": given.certificate, "key": given.certificate_key}
            for place, given in clients.items()
            if given.certificate
        },
        "resource": {"resourceUrl": f"{near}/userinfo", "resourceMethod": "GET"},
    }
    if plan.delivery:
        return {**configuration, "automated_ciba_approval_url": f"{issuer}/demo/ciba?auth_req_id={{auth_req_id}}&action={{action}}"}
    return {**configuration, "browser": write_browser(issuer, code), "override": write_overrides(issuer, code)}


def write_dynamic(issuer: str, code: str) -> dict[str, Any]:
    """Return the configuration of a plan whose clients register themselves."""
    return {
        "alias": ALIAS,
        "description": "Yizheng, clients that register themselves",
        "server": {"discoveryUrl": f"{issuer}/.well-known/openid-configuration"},
        "client": {"client_name": f"{ALIAS}-1"},
        "client2": {"client_name": f"{ALIAS}-2"},
        "resource": {"resourceUrl": f"{issuer}/userinfo", "resourceMethod": "GET"},
        "browser": write_browser(issuer, code),
        "override": write_overrides(issuer, code),
    }


def write_browser(issuer: str, code: str) -> list[dict[str, Any]]:
    """Return what the suite's browser does at the authorization endpoint and at the end-session endpoint."""
    return [
        {
            "match": f"{issuer}/authorize*",
            "tasks": [*_sign_in(issuer, code), _consent(issuer, "submit"), _go_on(issuer), _arrive("callback")],
        },
        {
            "match": f"{issuer}/sign-out*",
            "tasks": [_confirm_sign_out(issuer), _go_on(issuer), _arrive("post_logout_redirect")],
        },
    ]


def write_overrides(issuer: str, code: str) -> dict[str, Any]:
    """Return what it does otherwise in some modules: expect our error page, show the sign-in page, refuse, stay signed out here."""
    asked, leaving = write_browser(issuer, code)
    error = {"match": f"{issuer}/authorize*", "tasks": [{"task": "Our error page", "match": f"{issuer}/*", "commands": [ERROR_SHOWN]}]}
    shown = [*_sign_in(issuer, code, [SHOWN]), *asked["tasks"][2:]]
    refusing = [*_sign_in(issuer, code, number=REFUSER), _consent(issuer, "deny"), _go_on(issuer), _arrive("callback")]
    staying = {"task": "Signed out, on our page", "match": f"{issuer}/*", "commands": [["wait", *SHOWN[1:5], "update-image-placeholder"]]}
    here = {"match": leaving["match"], "tasks": [_confirm_sign_out(issuer), staying]}
    return {
        **{module: {"browser": [error]} for module in ERROR_PAGES},
        **{module: {"browser": [{**asked, "tasks": shown}, leaving]} for module in SIGNED_IN_ANEW},
        **{f"oidcc-rp-initiated-logout-{module}": {"browser": [asked, here]} for module in LEAVING_HERE},
        REUSES: {"browser": [{**asked, "match-limit": 1}, error]},
        LOOKS_FIRST: {"browser": [{"match": asked["match"], "match-limit": 1, "tasks": []}, asked]},
        REJECTS: {"browser": [{**asked, "tasks": refusing}]},
    }


def _sign_in(issuer: str, code: str, before: list[list[Any]] | None = None, number: int = 0) -> list[dict[str, Any]]:
    person = make_person(number)
    typed = [["text", "id", "identifier", person.id_number, "optional"], ["text", "id", "password", PASSWORD, "optional"], PRESS]
    typed_code = [["text", "id", "code", code, "optional"], PRESS]
    return [
        {"task": "Sign in", "match": f"{issuer}/sign-in*", "optional": True, "commands": [*(before or []), *typed]},
        {"task": "Type the code", "match": f"{issuer}/sign-in*", "optional": True, "commands": typed_code},
    ]


def _consent(issuer: str, button: str) -> dict[str, Any]:
    return {"task": "Agree or refuse", "match": f"{issuer}/consent*", "optional": True, "commands": [["click", "id", button]]}


def _confirm_sign_out(issuer: str) -> dict[str, Any]:
    """Press the button where we ask; with a good hint nobody is asked."""
    commands = [["click", "id", "submit", "optional"]]
    return {"task": "Confirm signing out", "match": f"{issuer}/sign-out*", "optional": True, "commands": commands}


def _go_on(issuer: str) -> dict[str, Any]:
    """Press on where a page of ours leads back by a form, which a browser with scripts posts by itself."""
    return {"task": "Go on", "match": f"{issuer}/*", "optional": True, "commands": [["click", "id", "continue", "optional"]]}


def _arrive(end: str) -> dict[str, Any]:
    return {"task": "Back at the suite", "match": f"*/test/a/{ALIAS}/{end}*", "commands": [COMPLETE] if end == "callback" else []}


def _write_client(plan: Plan, place: int, credentials: Credentials, secret: str) -> dict[str, Any]:
    written: dict[str, Any] = {"client_id": plan.name_client(place), "scope": " ".join(("openid", *SCOPES[:4]))}
    if secret:
        written["client_secret"] = secret
    if plan.auth_method is AuthMethod.SECRET_JWT:
        written["client_secret_jwt_alg"] = "HS256"  # noqa: S105 - an algorithm
    if credentials.keys:
        written["jwks"] = credentials.keys
    if plan.delivery:
        written |= {"hint_type": "login_hint", "hint_value": make_person(0).id_number}
        written["acr_value"] = Acr.SUBSTANTIAL.value  # what a module asks for, and what the ID Token must then name
    return written


def _name(what: str, place: int) -> str:
    return what if place == 1 else f"{what}{place}"
