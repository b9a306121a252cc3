"""Decides which key a request proves to hold: by a DPoP proof that is good once, or by the certificate of its TLS connection."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.platform.transients import Transients
from idp.protocol.rules.client_metadata import Profile
from idp.protocol.rules.confirmation import Holding, read_holding, write_confirmation
from idp.protocol.rules.dpop import DPOP_ALGORITHMS, MAX_PROOF, PROOF_TYPE, REMEMBERED, Proof, read_proof
from idp.protocol.rules.profile import find_demands
from idp.protocol.services.dpop_nonces import DpopNonces
from keys import (
    Certificate,
    ForeignKey,
    InvalidSignature,
    UnusableCertificate,
    read_certificate,
    read_foreign_token,
    verify_with_own_key,
)

USED = "dpop"


class NonceDemand(StrEnum):
    """From whom a nonce of ours is demanded in each proof; offered, it is to everybody."""

    NOBODY = "nobody"
    FAPI2 = "fapi2"
    EVERYBODY = "everybody"


class Scheme(StrEnum):
    """How an access token is sent to a resource of ours."""

    BEARER = "Bearer"
    DPOP = "DPoP"


class TokenUse(NamedTuple):
    """An access token at a resource of ours, and what the request shows of the key that it may be bound to.

    ``proofs`` are the DPoP headers; ``certificate`` the DER that a trusted proxy told; ``host`` the name that was asked.
    """

    text: str
    scheme: Scheme = Scheme.BEARER
    method: str = "GET"
    path: str = "/userinfo"
    proofs: tuple[bytes, ...] = ()
    certificate: bytes | None = None
    host: str = ""


@dataclass(frozen=True, slots=True)
class ReadProof:
    """A proof that fits its request, and the key that made it; whether it comes for the first time is another question."""

    proof: Proof
    key: ForeignKey


class Possession:
    """Checks proofs of possession. ``origins`` are the names under which our endpoints are asked."""

    def __init__(self, origins: Collection[str], nonces: DpopNonces, demand: NonceDemand, transients: Transients, clock: Clock) -> None:
        self._origins = {urlsplit(origin).netloc.lower(): origin for origin in origins}
        self._nonces = nonces
        self._demand = demand
        self._transients = transients
        self._clock = clock

    def make_nonce(self) -> str:
        """Return the nonce that the next proof should carry."""
        return self._nonces.make()

    def read(
        self,
        proof: bytes,
        method: str,
        path: str,
        profile: Profile = Profile.STANDARD,
        access_token: str | None = None,
        *,
        host: str = "",
    ) -> ReadProof:
        """Return a DPoP proof that is good for this request, not yet spent: nothing was remembered of it.

        ``host``: the name of ours that was asked; the proof is for that one, or for any where it is not known. ``access_token`` is the one
        that the request shows at a protected resource. Raise ProtocolError ``invalid_dpop_proof``, or ``use_dpop_nonce`` when the client
        must repeat with a nonce of ours.
        """
        allowed = find_demands(profile).signing_algorithms
        algorithms = [a for a in DPOP_ALGORITHMS if allowed is None or a in allowed]
        try:
            token = read_foreign_token(proof.decode("ascii"), own_key=True, max_size=MAX_PROOF)
            key = verify_with_own_key(token, algorithms, (PROOF_TYPE,))
        except (InvalidSignature, UnicodeDecodeError) as fault:
            raise _refuse(str(fault) if isinstance(fault, InvalidSignature) else "not ASCII") from None
        now = self._clock().timestamp()
        asked = self._origins.get(host.lower())
        origins = self._origins.values() if asked is None else (asked,)
        read = read_proof(token.claims, method, [origin + path for origin in origins], now, access_token)
        if isinstance(read, str):
            raise _refuse(read)
        self._check_nonce(read, profile)
        return ReadProof(read, key)

    async def spend(self, read: ReadProof) -> str:
        """Return the confirmation (``jkt:…``) of a proof; raise ProtocolError ``invalid_dpop_proof`` when it was used before."""
        # What the store may have forgotten cannot be told from what it never heard of (decision 10). iat has whole seconds.
        if read.proof.made_at < int((await self._transients.born_at()).timestamp()):
            raise _refuse("older than our memory")
        if not await self._transients.add_once(USED, f"{read.key.thumbprint} {read.proof.jti}", REMEMBERED):
            raise _refuse("used before")
        return write_confirmation(Holding.DPOP, read.key.thumbprint)

    async def check_use(self, use: TokenUse, bound: str | None, profile: Profile) -> None:
        """Raise ProtocolError unless the request proves the key ``bound`` of its access token, and sends it as such a one is sent.

        ``invalid_token`` for a bound token sent as a bearer's, or the reverse (RFC 9449 §7.1, §7.2), and for another key.
        """
        if bound is None:
            if use.scheme is Scheme.DPOP:
                raise _refuse_token("it is bound to no key")
            return
        if read_holding(bound) is Holding.CERTIFICATE:
            if use.scheme is Scheme.DPOP or not _is_bound_to(use.certificate, bound):
                raise _refuse_token("it is bound to another certificate")
            return
        if use.scheme is not Scheme.DPOP:
            raise _refuse_token("it is bound to a key and sent without a proof")
        if len(use.proofs) != 1:
            raise _refuse("there must be exactly one")
        if await self.spend(self.read(use.proofs[0], use.method, use.path, profile, use.text, host=use.host)) != bound:
            raise _refuse_token("it is bound to another key")

    def _check_nonce(self, proof: Proof, profile: Profile) -> None:
        demanded = self._demand is NonceDemand.EVERYBODY or (self._demand is NonceDemand.FAPI2 and profile is not Profile.STANDARD)
        if (demanded and proof.nonce is None) or (proof.nonce is not None and not self._nonces.is_good(proof.nonce)):
            raise ProtocolError("use_dpop_nonce", "The DPoP proof needs the nonce of the DPoP-Nonce header.", redirectable=False)


def confirm_certificate(certificate: Certificate) -> str:
    """Return the confirmation (``x5t#S256:…``) of the certificate of a connection (RFC 8705 §3.1)."""
    return write_confirmation(Holding.CERTIFICATE, certificate.thumbprint)


def _is_bound_to(der: bytes | None, bound: str) -> bool:
    if der is None:
        return False
    try:
        return confirm_certificate(read_certificate(der)) == bound
    except UnusableCertificate:
        return False


def _refuse_token(hint: str) -> ProtocolError:
    return ProtocolError("invalid_token", "The access token is not valid.", hint, redirectable=False)


def _refuse(reason: str) -> ProtocolError:
    return ProtocolError("invalid_dpop_proof", f"The DPoP proof is not valid: {reason}.", reason, redirectable=False)
