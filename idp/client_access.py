"""Decides what telling clients apart is made of: keys, proofs, certificates, and who may come by which door."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from idp.composition import Platform
from idp.http.client_certificate import CertificateListener
from idp.protocol.rules.metadata import PATHS
from idp.protocol.services.client_authentication import ClientAuthentication
from idp.protocol.services.client_keys import ClientKeySets
from idp.protocol.services.clients import ClientDirectory, Clients
from idp.protocol.services.dpop_nonces import DpopNonces
from idp.protocol.services.possession import NonceDemand, Possession
from idp.protocol.services.refusals import Refusals
from idp.settings import MtlsSettings


@dataclass(frozen=True)
class ClientAccess:
    """What app.py joins: who speaks at the endpoints for clients, and which key a request proves to hold."""

    authentication: ClientAuthentication
    possession: Possession


def build_client_access(
    platform: Platform,
    directory: ClientDirectory,
    clients: Clients,
    client_keys: ClientKeySets,
    usable: frozenset[str],
    refusals: Refusals,
) -> ClientAccess:
    """Return client authentication over the platform's stores."""
    settings, clock, transients = platform.settings, platform.clock, platform.transients
    issuer, mtls_origin = settings.server.issuer, settings.mtls.origin
    origins = [issuer, mtls_origin] if mtls_origin else [issuer]
    nonces = DpopNonces(platform.data_keys.mac("codes"), clock)
    possession = Possession(origins, nonces, NonceDemand(settings.protocol.dpop_nonces), transients, clock)
    authentication = ClientAuthentication(
        directory,
        clients,
        usable,
        refusals,
        client_keys,
        possession,
        transients,
        issuer,
        frozenset(origin + PATHS[name] for origin in origins for name in ("token_endpoint", "backchannel_authentication_endpoint")),
        clock,
    )
    return ClientAccess(authentication, possession)


def make_listener(settings: MtlsSettings, paths: Collection[str]) -> CertificateListener | None:
    """Return where a proxy tells certificates, None where none does."""
    if not settings.socket:
        return None
    host = urlsplit(settings.origin).netloc.lower().encode()
    return CertificateListener(settings.socket, host, frozenset(paths), settings.certificate_format == "escaped_pem")
