"""Addresses that clients name: what is never asked, what is never believed, and what never costs more than its limits."""

import asyncio
import gzip
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from idp.platform.fetching import Fetcher, FetchFailed
from idp.platform.outside_addresses import OutsideRules, read_address, read_networks
from idp.settings import SettingsError, load_settings

STRICT = OutsideRules()
LOCAL = OutsideRules(loopback=True)
PUBLIC = "93.184.215.14"
DOCUMENT = b'HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 11\r\n\r\n{"keys":[]}'


class Recorder(httpx2.AsyncBaseTransport):
    """Stands in for the network: keeps what was asked, answers ``{}``."""

    def __init__(self, answer: Callable[[], httpx2.Response] | None = None) -> None:
        self.asked: list[httpx2.Request] = []
        self._answer = answer or (lambda: httpx2.Response(200, stream=httpx2.ByteStream(b"{}")))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self._answer()


def answer_with(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """Return a name server that gives one answer after the other, the last for ever."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


@asynccontextmanager
async def open_fetcher(rules: OutsideRules = LOCAL, **options: object) -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(rules, **options)  # type: ignore[arg-type]
    try:
        yield fetcher
    finally:
        await fetcher.close()


@asynccontextmanager
async def serve(
    behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[int]:
    """Serve raw bytes on loopback; yield the port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def say(raw: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)

    return behave


async def read_failure(fetcher: Fetcher, address: str, **options: object) -> str:
    with pytest.raises(FetchFailed) as failed:
        await fetcher.read(address, **options)  # type: ignore[arg-type]
    return failed.value.reason


@pytest.mark.parametrize(
    "number",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.8.9.1", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1",
        "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:93.184.215.14", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::", "3fff::1", "5f00::1",
        "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
async def test_nothing_but_the_public_network_is_asked(number: str) -> None:
    network = Recorder()
    async with open_fetcher(STRICT, resolve=answer_with([number]), transport=network) as fetcher:
        assert await read_failure(fetcher, "https://department.example/jwks") == "network"
        # One forbidden address among others is enough, wherever it stands.
    for answer in ([PUBLIC, number], [number, PUBLIC]):
        async with open_fetcher(STRICT, resolve=answer_with(answer), transport=network) as fetcher:
            assert await read_failure(fetcher, "https://department.example/jwks") == "network"
    assert not network.asked


@pytest.mark.parametrize("number", [PUBLIC, "8.8.8.8", "223.5.5.5", "1.1.1.1", "2400:3200::1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
async def test_public_addresses_are_asked_by_number_under_their_name(number: str) -> None:
    network = Recorder()
    async with open_fetcher(STRICT, resolve=answer_with([number]), transport=network) as fetcher:
        assert await fetcher.read("https://Department.example:8443/jwks?a=1&b=%20") == b"{}"
    (asked,) = network.asked
    assert ipaddress.ip_address(asked.url.host) == ipaddress.ip_address(number)
    assert (asked.url.port, asked.url.raw_path) == (8443, b"/jwks?a=1&b=%20")
    assert asked.headers["host"] == "Department.example:8443"
    assert asked.extensions["sni_hostname"] == "department.example"
    assert "cookie" not in asked.headers
    assert asked.headers["accept-encoding"] == "identity"


async def test_an_allowed_network_may_be_asked_and_no_other() -> None:
    rules = OutsideRules(read_networks(["10.33.0.0/16", "fd33::/32"]))
    for number, reason in (("10.33.4.5", None), ("fd33::8", None), ("10.34.0.1", "network"), ("::ffff:10.33.4.5", "network")):
        async with open_fetcher(rules, resolve=answer_with([number]), transport=Recorder()) as fetcher:
            if reason is None:
                assert await fetcher.read("https://department.example/") == b"{}"
            else:
                assert await read_failure(fetcher, "https://department.example/") == reason


@pytest.mark.parametrize("text", ["10.33.0.1/16", "10.33", "department.example", "10.0.0.0/33", ""])
def test_a_network_is_written_as_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|host bits"):
        read_networks([text])


async def test_an_address_that_resolves_differently_the_second_time_leads_nowhere_else() -> None:
    """DNS rebinding: the first answer is checked and used, the second is never asked for."""
    reached: list[str] = []

    def tell(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            assert b"\r\nhost: localhost:" in request.lower()
            reached.append(name)
            writer.write(DOCUMENT)

        return behave

    async with serve(tell("checked"), host="127.0.0.1") as port, serve(tell("inside"), host="127.0.0.2", port=port):
        resolve = answer_with(["127.0.0.1"], ["127.0.0.2"])
        async with open_fetcher(resolve=resolve) as fetcher:
            assert await fetcher.read(f"http://localhost:{port}/jwks") == b'{"keys":[]}'
        assert list(await resolve("localhost", 0)) == ["127.0.0.2"], "one look-up was made"
    assert reached == ["checked"]
    async with open_fetcher(STRICT, resolve=answer_with([PUBLIC], ["127.0.0.1"]), transport=Recorder()) as fetcher:
        await fetcher.read("https://department.example/")
        assert await read_failure(fetcher, "https://department.example/") == "network"


@pytest.mark.parametrize(
    "address, reason",
    [
        ("http://department.example/jwks", "scheme"),
        ("http://127.0.0.1/jwks", "scheme"),
        ("http://localhost:8001/jwks", "scheme"),
        ("ftp://department.example/", "scheme"),
        ("file:///etc/passwd", "address"),
        ("gopher://department.example:70/", "scheme"),
        ("javascript:alert(1)", "address"),
        ("//department.example/", "scheme"),
        ("department.example", "address"),
        ("", "address"),
        ("https://", "address"),
        ("https:///jwks", "address"),
        ("https://user@department.example/", "address"),
        ("https://user:password@department.example/", "address"),
        ("https://department.example@10.0.0.1/", "address"),
        ("https://department.example/#keys", "address"),
        ("https://department.example\\@10.0.0.1/", "address"),
        ("https://department.example/\r\nX-Other: 1", "address"),
        ("https://department.example/a b", "address"),
        ("https://部门.example/", "address"),
        ("https://-department.example/", "address"),
        ("https://department.example./", "address"),
        ("https://dep*rtment.example/", "address"),
        ("https://[::1/", "address"),
        ("https://[fe80::1%25eth0]/", "address"),
        ("https://department.example:/", "address"),
        ("https://department.example:port/", "address"),
        ("https://department.example:99999/", "address"),
        ("https://department.example:-1/", "address"),
        ("https://department.example:0/", "port"),
        ("https://department.example:22/", "port"),
        ("https://department.example:80/", "port"),
        ("https://department.example:1023/", "port"),
        (f"https://department.example/{'a' * 2000}", "address"),
    ],
)
async def test_addresses_that_are_refused_unasked(address: str, reason: str) -> None:
    network = Recorder()
    async with open_fetcher(STRICT, resolve=answer_with([PUBLIC]), transport=network) as fetcher:
        with pytest.raises(FetchFailed) as failed:
            await fetcher.read(address)
    assert failed.value.reason == reason
    assert failed.value.by_rule
    assert not network.asked


@given(st.text(max_size=80).map(lambda text: f"https://{text}") | st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for rules in (STRICT, LOCAL):
        try:
            parts = read_address(text, rules)
        except ValueError as refused:
            fault = str(refused)
        else:
            fault = "" if parts.host and parts.target.startswith("/") and (parts.target + parts.authority).isprintable() else "unclean"
        assert fault in ("", "address", "scheme", "port")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.0x1", "1"])
async def test_other_spellings_of_a_number_are_no_names(host: str) -> None:
    network = Recorder()
    async with open_fetcher(LOCAL, resolve=answer_with([PUBLIC]), transport=network) as fetcher:
        assert await read_failure(fetcher, f"https://{host}/") == "address"
    assert not network.asked


async def test_the_systems_own_answer_is_judged() -> None:
    async with open_fetcher(STRICT, transport=Recorder()) as fetcher:
        assert await read_failure(fetcher, "https://localhost/") == "network"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
async def test_a_redirect_is_not_followed(status: int) -> None:
    asked: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %d Elsewhere\r\nLocation: /inside\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n" % status)

    async with serve(behave) as port, open_fetcher() as fetcher:
        for _ in range(2):
            assert await read_failure(fetcher, f"http://127.0.0.1:{port}/") == "redirect"
    assert len(asked) == 2
    assert all(b"cookie" not in request.lower() for request in asked)


async def test_a_body_is_read_only_to_its_limit() -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while sent < 64 * 1024 * 1024:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    async with serve(pour) as port, open_fetcher() as fetcher:
        assert await read_failure(fetcher, f"http://127.0.0.1:{port}/", size=10_000) == "size"
    assert sent < 32 * 1024 * 1024
    async with serve(say(DOCUMENT)) as port, open_fetcher() as fetcher:
        assert await fetcher.read(f"http://127.0.0.1:{port}/", size=11) == b'{"keys":[]}'
        assert await read_failure(fetcher, f"http://127.0.0.1:{port}/", size=10) == "size"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, gzip"])
async def test_a_compressed_bomb_is_never_opened(encoding: str) -> None:
    bomb = gzip.compress(b"0" * 20_000_000)
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        encoding.encode(), len(bomb), bomb,
    )  # fmt: skip
    async with serve(say(raw)) as port, open_fetcher() as fetcher:
        assert await read_failure(fetcher, f"http://127.0.0.1:{port}/", size=10_000_000) == "encoding"


async def test_slow_answers_end_at_the_time_limit() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        for _ in range(200):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def drip_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(200):
            writer.write(b"X-A: b\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(10)

    for behave in (drip, drip_headers, keep_silent):
        async with serve(behave) as port, open_fetcher() as fetcher:
            began = time.monotonic()
            assert await read_failure(fetcher, f"http://127.0.0.1:{port}/", seconds=0.3) == "timeout"
            assert time.monotonic() - began < 8  # they would go on for ten


async def test_a_name_server_that_is_silent_ends_at_the_time_limit() -> None:
    async def never(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(10)
        return []

    async with open_fetcher(STRICT, resolve=never) as fetcher:
        assert await read_failure(fetcher, "https://department.example/", seconds=0.1) == "timeout"


async def test_only_so_many_at_once() -> None:
    now = most = 0

    async def look_up(_host: str, _port: int) -> Sequence[str]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return [PUBLIC]

    async with open_fetcher(STRICT, resolve=look_up, transport=Recorder()) as fetcher:
        await asyncio.gather(*(fetcher.read("https://department.example/") for _ in range(80)))
    assert most == 32


@pytest.mark.parametrize(
    "raw, reason",
    [
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "status_404"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "status_500"),
        (b"HTTP/1.1 204 No\r\n\r\n", "status_204"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "broken"),
        (b"", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "type"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}", "type"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/jsonp\r\nContent-Length: 2\r\n\r\n{}", "type"),
    ],
)
async def test_answers_that_are_no_document(raw: bytes, reason: str) -> None:
    async with serve(say(raw)) as port, open_fetcher() as fetcher:
        with pytest.raises(FetchFailed) as failed:
            await fetcher.read(f"http://127.0.0.1:{port}/", content_types=("application/json",))
    assert failed.value.reason == reason
    assert not failed.value.by_rule


async def test_content_types_compare_without_case_and_parameters() -> None:
    raw = DOCUMENT.replace(b"application/json", b"Application/JWK-Set+JSON ")
    async with serve(say(raw)) as port, open_fetcher() as fetcher:
        types = ("application/jwk-set+json", "application/json")
        assert await fetcher.read(f"http://127.0.0.1:{port}/", content_types=types) == b'{"keys":[]}'


async def test_nobody_listens_and_nobody_is_called_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with open_fetcher() as fetcher:
        assert await read_failure(fetcher, f"http://127.0.0.1:{port}/") == "connection"
    for answers in ([], ["not a number"]):
        async with open_fetcher(STRICT, resolve=answer_with(answers)) as fetcher:
            assert await read_failure(fetcher, "https://department.example/") == "name"

    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror

    async with open_fetcher(STRICT, resolve=unknown) as fetcher:
        assert await read_failure(fetcher, "https://department.example/") == "name"
        assert await read_failure(fetcher, f"https://{'a' * 70}.example/") == "name"


async def test_the_next_address_is_tried_when_one_does_not_connect() -> None:
    async with serve(say(DOCUMENT)) as port, open_fetcher(resolve=answer_with(["127.0.0.9", "127.0.0.1"])) as fetcher:
        assert await fetcher.read(f"http://localhost:{port}/") == b'{"keys":[]}'
    answered: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append("first")
        await say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")(reader, writer)

    resolve = answer_with(["127.0.0.1", "127.0.0.2"])
    async with serve(refuse) as port, serve(refuse, host="127.0.0.2", port=port), open_fetcher(resolve=resolve) as fetcher:
        assert await read_failure(fetcher, f"http://localhost:{port}/") == "broken"
    assert answered == ["first"], "what may have been received is not sent again"


async def test_a_message_is_sent_and_its_answer_told() -> None:
    heard: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head + await reader.readexactly(14))
        writer.write(b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}")

    async with serve(behave) as port, open_fetcher() as fetcher:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await fetcher.send("POST", f"http://127.0.0.1:{port}/out", headers=headers, content=b"logout_token=x")
        assert (answer.status, answer.content_type, answer.body) == (400, "", b"{}")
        with pytest.raises(ValueError, match="other header"):
            await fetcher.send("POST", f"http://127.0.0.1:{port}/out", headers={"host": "inside"})
    assert heard[0].startswith(b"POST /out HTTP/1.1\r\n")


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serve(say(DOCUMENT)) as port, open_fetcher() as fetcher:
        assert await fetcher.read(f"http://127.0.0.1:{port}/") == b'{"keys":[]}'


def make_certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Return the file of a self-signed certificate for ``name`` and the context that serves it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    public, both = folder / f"{name}.pem", folder / f"{name}.both.pem"
    public.write_bytes(certificate.public_bytes(Encoding.PEM))
    both.write_bytes(public.read_bytes() + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return public, context


async def test_the_certificate_must_be_the_names(tmp_path: Path) -> None:
    known, served = make_certificate(tmp_path, "department.example")
    names: list[str | None] = []
    served.sni_callback = lambda _socket, name, _context: names.append(name)
    async with serve(say(DOCUMENT), tls=served) as port:
        async with open_fetcher(ca_file=known, resolve=answer_with(["127.0.0.1"])) as fetcher:
            assert await fetcher.read(f"https://department.example:{port}/jwks") == b'{"keys":[]}'
            assert names == ["department.example"]
            assert await read_failure(fetcher, f"https://other.example:{port}/jwks") == "connection"
            assert await read_failure(fetcher, f"https://127.0.0.1:{port}/jwks") == "connection"
        async with open_fetcher(resolve=answer_with(["127.0.0.1"])) as fetcher:
            assert await read_failure(fetcher, f"https://department.example:{port}/jwks") == "connection"


async def test_the_file_of_authorities_must_exist(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Fetcher(STRICT, ca_file=tmp_path / "absent.pem")


def test_the_settings_name_networks() -> None:
    settings = load_settings(None, {"IDP_DATABASE__DSN": "x", "IDP_FETCHING__ALLOWED_NETWORKS": "10.33.0.0/16, fd33::/32"})
    assert settings.fetching.allowed_networks == ["10.33.0.0/16", "fd33::/32"]
    with pytest.raises(SettingsError, match=r"fetching\.allowed_networks must hold networks"):
        load_settings(None, {"IDP_FETCHING__ALLOWED_NETWORKS": "10.33.0.1/16"})
    with pytest.raises(SettingsError, match=r"fetching\.loopback is for trying out"):
        load_settings(None, {"IDP_SERVER__ISSUER": "https://id.example", "IDP_FETCHING__LOOPBACK": "true"})
    assert load_settings(None, {"IDP_ENVIRONMENT": "demo", "IDP_FETCHING__LOOPBACK": "true"}).fetching.loopback
