"""Decides how nginx asks clients for certificates in a conformance run, where it is installed: a port of its own before our socket."""

import os
import shutil
from pathlib import Path

CONFIGURATION = """{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_max_body_size 64k;
{temporary}
    server {{
        listen {address}:{port} ssl;
        server_name {host};
        server_tokens off;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers {ciphers};
        ssl_session_tickets off;
        ssl_client_certificate {authority};
        ssl_verify_client optional_no_ca;
        location / {{
            proxy_pass https://unix:{socket}:;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Client-Cert-Verify $ssl_client_verify;
            proxy_set_header Client-Cert $ssl_client_escaped_cert;
            proxy_next_upstream off;
        }}
    }}
}}
"""
"""As deploy/nginx-mtls.conf has it; behind it the provider speaks TLS on its socket too, because it has one server for both."""

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def find_nginx() -> str | None:
    """Return the program, None where it is not installed."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def write_door(
    folder: Path, *, address: str, port: int, host: str, certificate: Path, key: Path, authority: Path, socket: Path, ciphers: str
) -> list[str]:
    """Write nginx's configuration into ``folder`` and return what nginx is started with after its name."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = CONFIGURATION.format(
        user="user root;\n" if os.geteuid() == 0 else "",  # else workers of root's nginx could not write to the socket
        folder=folder,
        temporary="\n".join(f"    {name}_temp_path {folder}/{name};" for name in TEMPORARY),
        address=f"[{address}]" if ":" in address else address,
        port=port,
        host=host,
        certificate=certificate,
        key=key,
        ciphers=ciphers,
        authority=authority,
        socket=socket,
    )
    path = folder / "nginx.conf"
    path.write_text(text, encoding="utf-8")
    return ["-c", str(path), "-p", str(folder), "-e", str(folder / "error.log")]
