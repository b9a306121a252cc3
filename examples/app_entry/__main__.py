"""Decides how the sample app is started: ``python -m examples.app_entry --help``."""

import argparse
from pathlib import Path

import uvicorn

from examples.app_entry.app import App, build_app


def main() -> None:
    """Read the arguments and serve the app on 127.0.0.1."""
    parser = argparse.ArgumentParser(prog="python -m examples.app_entry", description="A sample app that opens departments without a page.")
    parser.add_argument("--issuer", required=True, help="the provider's address, for instance http://127.0.0.1:8000")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--client-secret-file", required=True, type=Path, help="a file that holds the client secret and nothing else")
    parser.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1", "localhost"], help="what browsers call this machine")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--title", default="政务服务应用（样例）")
    parser.add_argument(
        "--target", action="append", default=[], metavar="CLIENT_ID=NAME", help="a department that the app opens; repeat it"
    )
    given = parser.parse_args()
    app = App(
        issuer=given.issuer,
        client_id=given.client_id,
        client_secret=given.client_secret_file.read_text(encoding="utf-8").strip(),
        address=f"http://{given.host}:{given.port}",
        title=given.title,
        targets=tuple((client_id, name) for client_id, _, name in (text.partition("=") for text in given.target)),
    )
    uvicorn.run(build_app(app), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
