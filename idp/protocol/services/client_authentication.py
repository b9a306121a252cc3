"""Decides which client speaks, by the method it registered, and which key it holds (RFC 6749 §2.3, RFC 7523, RFC 8705)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from idp.kernel.audit_events import AuditEvent, Kind, Place, Result
from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.platform.transients import Transients
from idp.protocol.rules.algorithms import CLIENT_SIGNING
from idp.protocol.rules.client import AuthMethod, Client
from idp.protocol.rules.client_assertion import TYPES, Assertion, read_assertion
from idp.protocol.rules.client_credentials import Presented, make_invalid_client, read_presented
from idp.protocol.rules.profile import choose_algorithms, find_demands, may_name_endpoints
from idp.protocol.services.client_keys import ClientKeySets, KeysUnreadable
from idp.protocol.services.clients import ClientDirectory, Clients
from idp.protocol.services.possession import Possession, confirm_certificate
from idp.protocol.services.refusals import Refusals
from keys import (
    Certificate,
    ForeignToken,
    InvalidSignature,
    UnusableCertificate,
    read_certificate,
    read_foreign_token,
    verify_with_secret,
)

USED = "assertion"
TLS_NAMES = {
    "dns": "tls_client_auth_san_dns",
    "uri": "tls_client_auth_san_uri",
    "ip": "tls_client_auth_san_ip",
    "email": "tls_client_auth_san_email",
}


class ClientRequest(NamedTuple):
    """What a request at an endpoint for clients shows of who speaks.

    ``method`` and ``path`` are those of the request; ``authorization`` and ``dpop`` the headers, ``certificate`` the DER of the client's
    TLS certificate as a trusted proxy told it, ``certificate_verified`` whether that proxy knows who issued it; ``host`` the name that was
    asked.
    """

    parameters: Mapping[str, str]
    method: str = "POST"
    path: str = "/token"
    authorization: bytes | None = None
    dpop: bytes | None = None
    certificate: bytes | None = None
    certificate_verified: bool = False
    host: str = ""
    request_id: str = ""
    place: Callable[[], Place] | None = None


class Caller(NamedTuple):
    """The client that a request proved to come from, and the key it proved to hold: what its tokens are bound to, None for bearer.

    ``place``: where the request came from.
    """

    client: Client
    confirmation: str | None = None
    place: Callable[[], Place] | None = None


class ClientAuthentication:
    """Authenticates the client of a request at the endpoints for clients.

    ``audiences`` are the names of the token endpoint and of the one for back-channel authentication, which assertions of clients that are
    registered for it may be made out to.
    """

    def __init__(
        self,
        directory: ClientDirectory,
        clients: Clients,
        usable: frozenset[str],
        refusals: Refusals,
        client_keys: ClientKeySets,
        possession: Possession,
        transients: Transients,
        issuer: str,
        audiences: frozenset[str],
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._usable = usable
        self._clients = clients
        self._refusals = refusals
        self._client_keys = client_keys
        self._possession = possession
        self._transients = transients
        self._issuer = issuer
        self._audiences = audiences | {issuer}
        self._clock = clock

    def make_nonce(self) -> str:
        """Return the nonce that the client's next DPoP proof should carry."""
        return self._possession.make_nonce()

    async def authenticate(self, request: ClientRequest) -> Caller:
        """Return the client that the request proves to come from, and the key it proves; raise ProtocolError.

        ``invalid_client`` for whoever is not who they say, recorded with the place they asked from; ``invalid_dpop_proof`` and
        ``use_dpop_nonce`` for a proof that is not good. A request that is refused spends nothing: whoever is sent away for a nonce
        comes again with the same assertion.
        """
        presented = read_presented(request.authorization, request.parameters)
        token = _read_token(presented) if presented.assertion else None
        client_id = presented.client_id or (str(token.claims.get("sub", "")) if token is not None else "")
        client = await self._directory.find(client_id)
        if client is None:
            raise make_invalid_client("unknown client")
        certificate = _read_certificate(request.certificate)
        shown = await self._examine(client, presented, token, certificate, request)
        if isinstance(shown, str):
            raise await self._refuse(client, shown, request)
        proof = None
        if request.dpop is not None:
            proof = self._possession.read(request.dpop, request.method, request.path, client.profile, host=request.host)
        if shown is not None and (fault := await self._spend(client, shown)) is not None:
            raise await self._refuse(client, fault, request)
        if proof is not None:
            return Caller(client, await self._possession.spend(proof), request.place)
        if client.tls.tls_client_certificate_bound_access_tokens and certificate is not None:
            return Caller(client, confirm_certificate(certificate), request.place)
        return Caller(client, None, request.place)

    async def _examine(
        self, client: Client, presented: Presented, token: ForeignToken | None, certificate: Certificate | None, request: ClientRequest
    ) -> Assertion | str | None:
        """Return why the client is not who it says, for the log; otherwise the assertion that is still to be spent, if it sent one."""
        method = client.auth_method
        if method not in presented.methods:
            shown = " or ".join(sorted(shown.value for shown in presented.methods))
            return f"registered for {method.value}, not {shown}"
        if client.status not in self._usable:
            return f"status {client.status}"
        demanded = find_demands(client.profile).auth_methods
        if demanded is not None and method not in demanded:
            return f"{method.value} does not fit the profile"
        match method:
            case AuthMethod.NONE:
                return None
            case AuthMethod.SECRET_BASIC | AuthMethod.SECRET_POST:
                if not self._clients.is_secret(client, presented.secret):
                    return "wrong secret"
                await self._renew_mac(client, presented.secret)
                return None
            case AuthMethod.PRIVATE_KEY_JWT | AuthMethod.SECRET_JWT:
                return "no assertion" if token is None else await self._read_assertion(client, token)
            case AuthMethod.TLS | AuthMethod.SELF_SIGNED_TLS:
                return await self._find_certificate_fault(client, certificate, request.certificate_verified)

    async def _read_assertion(self, client: Client, token: ForeignToken) -> Assertion | str:
        try:
            if client.auth_method is AuthMethod.SECRET_JWT:
                await self._renew_mac(client, self._find_signing_secret(client, token))
            else:
                algorithms = choose_algorithms(client, CLIENT_SIGNING, client.requests.token_endpoint_auth_signing_alg)
                await self._client_keys.verify(client, token, algorithms, TYPES)
        except InvalidSignature as invalid:
            return f"assertion: {invalid}"
        except KeysUnreadable as unreadable:
            return f"the client's keys cannot be read: {unreadable.reason}"
        named = client.requests.accepts_endpoint_audience and may_name_endpoints(client)
        audiences = self._audiences if named else frozenset({self._issuer})
        lists = named and not find_demands(client.profile).issuer_audience_only
        read = read_assertion(token.claims, client.client_id, audiences, lists=lists, now=self._clock().timestamp())
        return f"assertion: {read}" if isinstance(read, str) else read

    async def _renew_mac(self, client: Client, secret: str) -> None:
        """Bring what is kept of a secret under the current key: nobody but its client can show it, so this is the time."""
        mac = self._clients.renew_mac(client, secret)
        if mac is not None:
            await self._directory.keep_mac(client, mac)

    def _find_signing_secret(self, client: Client, token: ForeignToken) -> str:
        for secret in self._clients.list_secrets(client):
            try:
                verify_with_secret(token, secret.encode(), TYPES)
            except InvalidSignature:
                continue
            return secret
        raise InvalidSignature("no secret of the client made the signature")

    async def _spend(self, client: Client, assertion: Assertion) -> str | None:
        # What the store may have forgotten cannot be told from what it never heard of (decision 10). iat has whole seconds.
        if assertion.made_at < int((await self._transients.born_at()).timestamp()):
            return "assertion: older than our memory"
        fresh = await self._transients.add_once(USED, f"{client.client_id} {assertion.jti}", assertion.remembered_for)
        return None if fresh else "assertion: used before"

    async def _find_certificate_fault(self, client: Client, certificate: Certificate | None, verified: bool) -> str | None:
        if certificate is None:
            return "no certificate"
        if not certificate.is_current(self._clock()):
            return "the certificate is not within its time"
        if client.auth_method is AuthMethod.SELF_SIGNED_TLS:
            try:
                keys = await self._client_keys.read(client)
            except KeysUnreadable as unreadable:
                return f"the client's keys cannot be read: {unreadable.reason}"
            known = any(certificate.thumbprint in key.certificates for key in keys.keys)
            return None if known else "the certificate is none of the client's keys"
        if not verified:
            return "the certificate's issuer is not known"
        return None if _is_named(client, certificate) else "the certificate has another name"

    async def _refuse(self, client: Client, fault: str, request: ClientRequest) -> ProtocolError:
        """Record the refusal and return it."""
        event = AuditEvent(
            Kind.CLIENT_REFUSED,
            Result.REFUSED,
            actor="visitor",
            client_id=client.client_id,
            request_id=request.request_id,
            details={"reason": fault},
            place=request.place() if request.place is not None else None,
        )
        await self._refusals.record(event)
        return make_invalid_client(fault)


def _read_token(presented: Presented) -> ForeignToken:
    try:
        return read_foreign_token(presented.assertion)
    except InvalidSignature as invalid:
        raise make_invalid_client(f"assertion: {invalid}") from None


def _read_certificate(der: bytes | None) -> Certificate | None:
    if der is None:
        return None
    try:
        return read_certificate(der)
    except UnusableCertificate:
        return None


def _is_named(client: Client, certificate: Certificate) -> bool:
    """Tell whether the certificate has the name that the client registered, exactly one (RFC 8705 §2.1.2)."""
    subject = client.tls.tls_client_auth_subject_dn
    if subject is not None and not certificate.has_subject(subject):
        return False
    named = {kind: getattr(client.tls, field) for kind, field in TLS_NAMES.items() if getattr(client.tls, field) is not None}
    if not all(certificate.has_alternative(kind, name) for kind, name in named.items()):
        return False
    return subject is not None or bool(named)
