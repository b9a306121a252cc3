"""Decides which settings make sense, each alone and beside the others; what does not refuses to start in one sentence."""

import re
from urllib.parse import SplitResult, urlsplit

from idp.http.cookies import CookieNames
from idp.kernel.checks import CheckKind
from idp.kernel.loopback import LOOPBACK
from idp.platform.outside_addresses import read_networks
from idp.protocol.rules.scopes import SCOPES, list_claims
from idp.settings.sections import ClientRegistrationSettings, FetchingSettings, MtlsSettings, Settings, SmsSettings, SourceSettings
from idp.sources.addresses import find_fault
from idp.sources.signatures import is_app_key
from keys import ALGORITHMS, PKCS11_ALGORITHMS
from sms import TEMPLATES

JWKS_LIFE = 300
"""Seconds that clients may keep our keys."""


class SettingsError(Exception):
    """One sentence that tells the operator which setting is wrong and what to do."""


def check_sense(settings: Settings) -> None:
    """Raise SettingsError where a value cannot be meant, or two contradict each other."""
    loopback = _check_issuer(settings.server.issuer)
    try:
        CookieNames(settings.server.issuer, settings.cookie_suffix)
    except ValueError:
        raise SettingsError("cookie_suffix must be at most 32 letters, digits, - and _; empty where nobody shares the host name.") from None
    if 0 < len(settings.server.metrics_token) < 32:
        raise SettingsError("server.metrics_token must have at least 32 characters; it is better named by a file.")
    if settings.environment != "production":
        if not loopback and urlsplit(settings.server.issuer).hostname != settings.server.trial_host:
            raise SettingsError(f"The {settings.environment} environment only runs on a loopback issuer, or on server.trial_host.")
    elif settings.server.trial_host:
        raise SettingsError("server.trial_host is for the demo and for a sandbox; in production the issuer alone says the name.")
    elif settings.keys.pending_seconds < 2 * JWKS_LIFE:
        raise SettingsError(f"keys.pending_seconds must be at least {2 * JWKS_LIFE}: clients keep keys for {JWKS_LIFE} seconds.")
    _check_signing(settings)
    lengths = settings.registration
    if (
        lengths.social_security_card_shortest > lengths.social_security_card_longest
        or lengths.housing_fund_account_shortest > lengths.housing_fund_account_longest
    ):
        raise SettingsError("A number cannot be at least longer than it is at most; correct registration.*_shortest and *_longest.")
    if settings.sms.gateway == "aliyun":
        _check_aliyun(settings.sms, settings.environment)
    _check_fixed_code(settings.sms, settings.environment)
    if settings.environment == "production" and not settings.protocol.backchannel_limits:
        raise SettingsError(
            "protocol.backchannel_limits is false for conformance runs alone; in production nobody may be asked without end."
        )
    _check_authorities(settings.sources, settings.environment)
    _check_fetching(settings.fetching, settings.environment)
    _check_trial_claims(settings.client_registration, settings.environment)
    _check_mtls(settings.mtls, settings.server.issuer)


def _check_mtls(mtls: MtlsSettings, issuer: str) -> None:
    if bool(mtls.origin) is not bool(mtls.socket):
        raise SettingsError("mtls.origin and mtls.socket go together: the proxy's address, and the socket on which it tells certificates.")
    if mtls.socket and (not mtls.socket.startswith("/") or len(mtls.socket.encode()) > 100):
        raise SettingsError("mtls.socket must be an absolute path of at most 100 bytes.")
    if mtls.origin:
        parts = _split_address(mtls.origin)
        if parts is None or parts.scheme != "https" or mtls.origin != f"https://{parts.netloc}":
            raise SettingsError("mtls.origin must be https://HOST or https://HOST:PORT, with nothing after it.")
        if mtls.origin == issuer:
            raise SettingsError("mtls.origin must be another name or port than server.issuer: only there are certificates asked for.")


def _check_trial_claims(registration: ClientRegistrationSettings, environment: str) -> None:
    if registration.trial_claims and environment == "production":
        raise SettingsError("client_registration.trial_claims is for trying out; in production the operator alone gives entitlements.")
    if unknown := sorted(set(registration.trial_claims) - set(list_claims(SCOPES))):
        raise SettingsError(f"client_registration.trial_claims has {unknown[0]}, which is no claim of ours.")


def _check_fetching(fetching: FetchingSettings, environment: str) -> None:
    try:
        read_networks(fetching.allowed_networks)
    except ValueError as error:
        raise SettingsError(f"fetching.allowed_networks must hold networks such as 10.33.0.0/16: {error}.") from None
    if fetching.loopback and environment == "production":
        raise SettingsError("fetching.loopback is for trying out; in production nothing that a client names leads to this machine.")


def _check_signing(settings: Settings) -> None:
    keys, tokens = settings.keys, settings.protocol
    if unknown := sorted(set(keys.algorithms) - set(ALGORITHMS)):
        raise SettingsError(f"keys.algorithms has {unknown[0]}, which we do not sign with; choose among {', '.join(ALGORITHMS)}.")
    if ALGORITHMS[0] not in keys.algorithms:
        raise SettingsError(
            f"keys.algorithms must have {ALGORITHMS[0]}: clients get it who ask for nothing else, and the audit is marked by it."
        )
    longest = max(tokens.id_token_seconds, tokens.access_token_seconds)
    if keys.retiring_seconds < longest:
        raise SettingsError(f"keys.retiring_seconds must be at least {longest}: so long lives a token that clients verify by themselves.")
    if keys.provider == "pkcs11" or keys.pkcs11_module:
        for name in ("pkcs11_module", "pkcs11_token", "pkcs11_pin_file"):
            if not getattr(keys, name):
                raise SettingsError(f"keys.{name} is empty; keys in a PKCS #11 device need it.")
    if keys.provider == "pkcs11" and (unable := sorted(set(keys.algorithms) - set(PKCS11_ALGORITHMS))):
        can = ", ".join(PKCS11_ALGORITHMS)
        raise SettingsError(f"keys.algorithms has {unable[0]}, whose keys we cannot make in a PKCS #11 device; choose among {can}.")


def _check_issuer(issuer: str) -> bool:
    """Tell whether the issuer is a loopback address. Raises SettingsError unless it is an address and nothing else."""
    parts = _split_address(issuer)
    if parts is None:
        raise SettingsError("server.issuer must name a host, and a port if any: https://id.example.gov.cn.")
    loopback = parts.hostname in LOOPBACK
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise SettingsError("server.issuer must begin with https:// (http:// only on 127.0.0.1 or localhost).")
    if parts.path.strip("/"):
        raise SettingsError("server.issuer must have no path: the provider serves at the root of its host.")
    if issuer != f"{parts.scheme}://{parts.netloc}":
        raise SettingsError("server.issuer must have no trailing slash, query or fragment.")
    return loopback


def _split_address(issuer: str) -> SplitResult | None:
    try:
        parts = urlsplit(issuer)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    usable = bool(host) and issuer.isascii() and issuer.isprintable() and " " not in issuer and "@" not in parts.netloc
    return parts if usable and not parts.netloc.endswith(":") else None


def _check_aliyun(sms: SmsSettings, environment: str) -> None:
    for key in ("access_key_id", "access_key_secret_file", "sign_name"):
        if not getattr(sms, key):
            raise SettingsError(f"sms.{key} is empty; the aliyun gateway needs it.")
    # Outside production nothing is registered with the vendor, so the simulator's own codes serve where none are named.
    if (environment == "production" or sms.templates) and (missing := sorted(set(TEMPLATES) - set(sms.templates))):
        raise SettingsError(f"sms.templates names no template code for {', '.join(missing)}; write the registered ones there.")


def _check_fixed_code(sms: SmsSettings, environment: str) -> None:
    if not sms.fixed_code:
        return
    if environment == "production":
        raise SettingsError("sms.fixed_code is for trying out; in production every code is drawn anew.")
    if not re.fullmatch(r"[0-9]{6}", sms.fixed_code):
        raise SettingsError("sms.fixed_code must be six digits.")
    endpoint = _split_address(sms.endpoint)
    if sms.gateway != "none" and (endpoint is None or endpoint.hostname not in LOOPBACK):
        raise SettingsError("sms.fixed_code goes with a simulator on this machine: a code that everybody knows is sent to nobody.")


def _check_authorities(sources: SourceSettings, environment: str) -> None:
    served: dict[CheckKind, str] = {}
    for name, authority in sources.authorities.items():
        path = f"sources.authorities.{name}"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
            raise SettingsError(f"The name of {path} must be 1 to 40 small letters, digits and hyphens.")
        if not authority.kinds:
            raise SettingsError(f"{path}.kinds is empty; write which of {', '.join(CheckKind)} it answers.")
        for kind in authority.kinds:
            if kind in served:
                raise SettingsError(f"{path}.kinds names {kind.value}, which sources.authorities.{served[kind]} answers already.")
            served[kind] = name
        for key, address in (("endpoint", authority.endpoint), ("page", authority.page)):
            if (key == "endpoint" or address) and (fault := find_fault(address, loopback_only=environment != "production")):
                raise SettingsError(f"{path}.{key} {fault}.")
        if authority.page and CheckKind.REAL_PERSON not in authority.kinds:
            raise SettingsError(f"{path}.page is for real_person only, which it does not answer.")
        if not is_app_key(authority.app_key):
            raise SettingsError(f"{path}.app_key must be 1 to 64 letters, digits, dots, underscores and hyphens.")
        if not authority.secret_file:
            raise SettingsError(f"{path}.secret_file is empty; name the file that holds the secret shared with that authority.")
