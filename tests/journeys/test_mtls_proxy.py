"""Certificates told by Debian's nginx: openssl makes them, nginx asks for them, ``idp serve`` hears of them on its socket alone."""

import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from idp.platform.child_processes import find_free_port
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_metadata import ClientKeys, TlsIdentity
from idp.serving import AddressUnusable, bind_certificate_socket
from tests.support.certificates import read_jwks
from tests.support.discipline import NGINX_SCRIPTS, find_program
from tests.support.provider import REDIRECT_URI, Provider, run_provider

pytestmark = [pytest.mark.nginx, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
CREDENTIALS: dict[str, Any] = {"grant_types": frozenset({"client_credentials"}), "redirect_uris": ()}


@dataclass(frozen=True)
class Made:
    """A certificate and its key as files."""

    certificate: Path
    key: Path


class Authority:
    """A folder in which openssl makes certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def make(self, name: str, subject: str, names: str = "", by: Made | None = None, days: int = 2) -> Made:
        """Return a certificate, signed by another's key or by its own."""
        made = Made(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        self.run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(made.key))
        extensions = ["-addext", f"subjectAltName={names}"] if names else []
        if by is None:
            self.run(
                "req",
                "-x509",
                "-new",
                "-key",
                str(made.key),
                "-subj",
                subject,
                "-days",
                str(days),
                *extensions,
                "-out",
                str(made.certificate),
            )
            return made
        request = self.folder / f"{name}.csr"
        self.run("req", "-new", "-key", str(made.key), "-subj", subject, *extensions, "-out", str(request))
        signing = ["-CA", str(by.certificate), "-CAkey", str(by.key), "-CAcreateserial", "-copy_extensions", "copy"]
        self.run("x509", "-req", "-in", str(request), *signing, "-days", str(days), "-out", str(made.certificate))
        return made


@dataclass
class Installation:
    """The provider of these tests: registered in process, served by ``idp serve`` behind nginx."""

    provider: Provider
    front: str
    door: str
    trusted: Path
    own: dict[str, Made]

    def ask(self, path: str = "/token", by: str | None = None, method: str = "POST", **request: Any) -> httpx2.Response:
        """Ask at the address for certificates, as the holder of one."""
        context = ssl.create_default_context(cafile=str(self.trusted))
        if by is not None:
            context.load_cert_chain(self.own[by].certificate, self.own[by].key)
        with httpx2.Client(verify=context, trust_env=False) as client:
            return client.request(method, f"{self.door}{path}", **request)

    def ask_front(self, path: str, method: str = "POST", **request: Any) -> httpx2.Response:
        """Ask at the ordinary address."""
        with httpx2.Client(trust_env=False) as client:
            return client.request(method, f"{self.front}{path}", **request)


def write_nginx(folder: Path, port: int, socket: Path, server: Made, authorities: Path, form: str) -> Path:
    """Write the configuration of deploy/nginx-mtls.conf for one user on a free port."""
    sample = (ROOT / "deploy" / "nginx-mtls.conf").read_text(encoding="utf-8")
    changes = {
        r"listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        r"    server_name [^;]+;": "server_name localhost;",
        r"ssl_certificate  .*": f"ssl_certificate {server.certificate};",
        r"ssl_certificate_key .*": f"ssl_certificate_key {server.key};",
        r"ssl_client_certificate .*": f"ssl_client_certificate {authorities};",
        r"access_log .*": "access_log off;",
        r"http://unix:/run/yizheng/mtls.sock": f"http://unix:{socket}",
        r"proxy_set_header Host \$host;": "proxy_set_header Host $http_host;",
    }
    modules = ""
    if form == "rfc9440":
        shutil.copy(ROOT / "deploy" / "nginx-client-cert.js", folder / "nginx-client-cert.js")
        modules = f"load_module {NGINX_SCRIPTS};"
        changes[r"proxy_set_header Client-Cert \$ssl_client_escaped_cert;.*"] = ""
        changes[r"#   (js_import|js_set) .*"] = ""
        changes[r"#   proxy_set_header Client-Cert \$client_cert;"] = "proxy_set_header Client-Cert $client_cert;"
    for pattern, replacement in changes.items():
        sample, found = re.subn(pattern, replacement.replace("\\", "\\\\"), sample)
        assert found, f"deploy/nginx-mtls.conf has no {pattern}"
    scripts = "js_import yizheng from nginx-client-cert.js; js_set $client_cert yizheng.write;" if form == "rfc9440" else ""
    paths = " ".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root; " if os.geteuid() == 0 else ""  # else workers of root's nginx could not write to the socket
    whole = f"""{modules}
{user}daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{}}
http {{ js_placeholder {paths}
log_format yizheng '$remote_addr';
{sample}
}}
""".replace("js_placeholder", f"js_path {folder}; {scripts}" if scripts else "")
    path = folder / "nginx.conf"
    path.write_text(whole, encoding="utf-8")
    return path


@contextmanager
def run(command: list[str], ready: Any, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, **options)
    try:
        end = time.monotonic() + 40
        while not ready():
            assert process.poll() is None, f"{command[0]} ended"
            assert time.monotonic() < end, f"{command[0]} did not start"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def listens(address: str, trusted: Path | None = None) -> bool:
    verify: Any = ssl.create_default_context(cafile=str(trusted)) if trusted else True
    try:
        with httpx2.Client(verify=verify, trust_env=False) as client:
            return client.get(f"{address}/healthz").status_code < 500
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the keys of this module's database lie."""
    return tmp_path_factory.mktemp("home")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["escaped_pem", "rfc9440"])
async def installation(
    request: pytest.FixtureRequest, service_dsn: str, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    folder = tmp_path_factory.mktemp("mtls")
    authority = Authority(folder)
    root = authority.make("authority", "/CN=Sample client authority")
    stranger = authority.make("other-authority", "/CN=Another authority")
    server = authority.make("server", "/CN=localhost", "DNS:localhost")
    own = {
        "hall": authority.make("hall", "/C=CN/O=Sample Province/CN=hall", "DNS:hall.example", by=root),
        "other": authority.make("other", "/C=CN/O=Sample Province/CN=other", "DNS:other.example", by=root),
        "foreign": authority.make("foreign", "/C=CN/O=Sample Province/CN=hall", "DNS:hall.example", by=stranger),
        "self": authority.make("self", "/CN=self"),
        "another-self": authority.make("another-self", "/CN=self"),
    }
    short = Path(tempfile.mkdtemp(prefix="idp-"))
    socket, front, door = short / "mtls.sock", find_free_port(), find_free_port()
    environ = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "IDP_ENVIRONMENT": "demo",
        "IDP_SERVER__ISSUER": f"http://127.0.0.1:{front}",
        "IDP_SERVER__PORT": str(front),
        "IDP_SERVER__WORKERS": "2" if request.param == "rfc9440" else "1",
        "IDP_DATABASE__DSN": service_dsn,
        "IDP_DATABASE__POOL_SIZE": "2",
        "IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": str(home / "kek"),
        "IDP_AUDIT__CHECKPOINT_FILE": str(home / "checkpoints.jsonl"),
        "IDP_MTLS__ORIGIN": f"https://localhost:{door}",
        "IDP_MTLS__SOCKET": str(socket),
        "IDP_MTLS__CERTIFICATE_FORMAT": request.param,
        "IDP_LOG__LEVEL": "warning",
    }
    nginx = find_program("nginx")
    assert nginx is not None
    configuration = write_nginx(folder, door, socket, server, root.certificate, request.param)
    try:
        door_settings = {name: value for name, value in environ.items() if name.startswith("IDP_MTLS__")}
        async with run_provider(service_dsn, home, **door_settings) as provider:
            provider.clock.now = datetime.now(UTC)
            provider.made = 100 if request.param == "rfc9440" else 0  # one database: other people
            at_front = f"http://127.0.0.1:{front}"
            with run([sys.executable, "-m", "idp", "serve"], lambda: listens(at_front), env=environ, cwd=ROOT):
                assert stat.S_IMODE(socket.stat().st_mode) == 0o660
                told = [nginx, "-c", str(configuration), "-p", str(folder), "-e", str(folder / "error.log")]
                at_door = f"https://localhost:{door}"
                with run(told, lambda: listens(at_door, server.certificate)):
                    yield Installation(provider, at_front, at_door, server.certificate, own)
    finally:
        shutil.rmtree(short)


def test_the_socket_of_an_earlier_process_is_replaced_and_nothing_else() -> None:
    folder = Path(tempfile.mkdtemp(prefix="idp-"))
    try:
        path = folder / "mtls.sock"
        for _ in range(2):
            bind_certificate_socket(str(path)).close()
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
        precious = folder / "precious"
        precious.write_text("kept", encoding="ascii")
        for wrong in (precious, folder / "absent" / "mtls.sock"):
            with pytest.raises(AddressUnusable, match=r"mtls\.socket"):
                bind_certificate_socket(str(wrong))
        assert precious.read_text(encoding="ascii") == "kept"
    finally:
        shutil.rmtree(folder)


def make_form(client_id: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": client_id}


async def test_a_certificate_of_a_known_authority(installation: Installation) -> None:
    provider = installation.provider
    tls = TlsIdentity(tls_client_auth_subject_dn="CN=hall,O=Sample Province,C=CN", tls_client_certificate_bound_access_tokens=True)
    by_name = TlsIdentity(tls_client_auth_san_dns="hall.example")
    kind = installation.front[-5:]
    subject = await provider.add_client(f"subject-{kind}", **CREDENTIALS, auth_method=AuthMethod.TLS, tls=tls)
    named = await provider.add_client(f"named-{kind}", **CREDENTIALS, auth_method=AuthMethod.TLS, tls=by_name)
    for client in (subject, named):
        answer = installation.ask(by="hall", data=make_form(client))
        assert answer.status_code == 200, answer.text
        for by in ("other", "foreign", "self", None):
            refused = installation.ask(by=by, data=make_form(client))
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), by
    told = installation.ask(
        "/introspect",
        by="hall",
        data={"client_id": subject, "token": installation.ask(by="hall", data=make_form(subject)).json()["access_token"]},
    )
    assert told.json()["cnf"].keys() == {"x5t#S256"}


async def test_a_certificate_of_the_clients_own(installation: Installation) -> None:
    provider = installation.provider
    jwks = read_jwks(installation.own["self"].certificate.read_bytes())
    given = {**CREDENTIALS, "auth_method": AuthMethod.SELF_SIGNED_TLS, "keys": ClientKeys(jwks=jwks)}
    client = await provider.add_client(f"self-{installation.front[-5:]}", **given)
    assert installation.ask(by="self", data=make_form(client)).status_code == 200
    for by in ("another-self", "hall", None):
        assert installation.ask(by=by, data=make_form(client)).json()["error"] == "invalid_client"


async def test_headers_that_somebody_forges(installation: Installation) -> None:
    provider = installation.provider
    given = {**CREDENTIALS, "auth_method": AuthMethod.TLS, "tls": TlsIdentity(tls_client_auth_san_dns="hall.example")}
    client = await provider.add_client(f"forged-{installation.front[-5:]}", **given)
    pem = installation.own["hall"].certificate.read_text(encoding="ascii")
    plain = ":" + re.sub(r"-----[^-]+-----|\s", "", pem) + ":"
    for value in (plain, pem.replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B")):
        forged = {"client-cert": value, "x-client-cert-verify": "SUCCESS", "x-forwarded-for": "10.0.0.1", "x-forwarded-host": "inside"}
        for answer in (
            installation.ask(data=make_form(client), headers=forged),
            installation.ask(by="self", data=make_form(client), headers=forged),
            installation.ask_front("/token", data=make_form(client), headers=forged),
        ):
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_bound_token_at_userinfo(installation: Installation) -> None:
    provider = installation.provider
    tls = TlsIdentity(tls_client_certificate_bound_access_tokens=True)
    client = await provider.add_client(f"bound-{installation.front[-5:]}", tls=tls)
    provider.clock.now = datetime.now(UTC)
    landing = await provider.authorize(client, await provider.open_session(await provider.add_person()), scope="openid profile")
    form = {"grant_type": "authorization_code", "code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    answer = installation.ask(by="self", data=form, auth=(client, provider.secrets[client]))
    assert answer.status_code == 200, answer.text
    bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert installation.ask("/userinfo", by="self", method="GET", headers=bearer).status_code == 200
    for refused in (
        installation.ask("/userinfo", by="hall", method="GET", headers=bearer),
        installation.ask("/userinfo", method="GET", headers=bearer),
        installation.ask_front("/userinfo", method="GET", headers=bearer),
    ):
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")


async def test_the_other_address_is_announced_and_shows_no_pages(installation: Installation) -> None:
    document = installation.ask_front("/.well-known/openid-configuration", method="GET").json()
    assert document["mtls_endpoint_aliases"]["token_endpoint"] == f"{installation.door}/token"
    for path in ("/sign-in", "/authorize", "/account", "/jwks.json"):
        assert installation.ask(path, by="hall", method="GET").status_code == 404
