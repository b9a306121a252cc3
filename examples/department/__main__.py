"""Decides how the sample department is started: ``python -m examples.department --help``."""

import argparse
from pathlib import Path

import uvicorn

from examples.department.app import Department, build_app


def main() -> None:
    """Read the arguments and serve the website on 127.0.0.1."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.department", description="A sample department that signs people in with Yizheng."
    )
    parser.add_argument("--issuer", required=True, help="the provider's address, for instance http://127.0.0.1:8000")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--client-secret-file", required=True, type=Path, help="a file that holds the client secret and nothing else")
    parser.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1", "localhost"], help="what browsers call this machine")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--title", required=True, help="the department's name, for instance 不动产登记中心")
    parser.add_argument("--subtitle", default="", help="the department's name in English")
    parser.add_argument("--scope", default="openid profile", help="what to ask for, for instance 'openid profile phone'")
    parser.add_argument("--theme", default="pine", choices=["pine", "brick"], help="the colour of the page's header")
    given = parser.parse_args()
    department = Department(
        issuer=given.issuer,
        client_id=given.client_id,
        client_secret=given.client_secret_file.read_text(encoding="utf-8").strip(),
        address=f"http://{given.host}:{given.port}",
        title=given.title,
        subtitle=given.subtitle,
        scope=given.scope,
        theme=given.theme,
    )
    uvicorn.run(build_app(department), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
