"""Request objects that are fetched from the client's own, registered address (OpenID Connect Core §6.2)."""

import http.server
import threading
from pathlib import Path

from tests.protocol.endpoints.test_request_objects import KEY, add_signing_client, make_claims, send
from tests.support.provider import REDIRECT_URI, run_provider


async def test_an_object_is_fetched_where_it_is_registered(service_dsn: str, tmp_path: Path) -> None:
    # conformance: oidcc-request-uri-signed-rs256
    served: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in served else 404)
            self.send_header("content-type", "application/oauth-authz-req+jwt")
            self.end_headers()
            self.wfile.write(served.get(self.path, b""))

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_port}"
        async with run_provider(service_dsn, tmp_path, IDP_FETCHING__LOOPBACK="true") as provider:
            addresses = (f"{home}/good", f"{home}/nothing", f"{home}/odd", f"{home}/{'r' * 600}")
            client = await add_signing_client(provider, "by-address", request_uris=addresses)
            served["/good"] = KEY.sign(make_claims(provider, client)).encode()
            served["/odd"] = "没有".encode()
            cookies = await provider.open_session(await provider.add_person())
            landing = await send(provider, cookies, client_id=client, request_uri=addresses[0])
            assert landing.parameters["state"] == "state-1"
            served["/" + "r" * 600] = served["/good"]
            landing = await send(provider, client_id=client, request_uri=addresses[3])
            assert landing.response.headers["location"].startswith("/continue"), "an address may be long"
            for address in addresses[1:3]:
                landing = await send(provider, cookies, client_id=client, request_uri=address, redirect_uri=REDIRECT_URI)
                assert landing.parameters["error"] == "invalid_request_uri"
        server.shutdown()
