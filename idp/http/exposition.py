"""Decides who may read the measurements: whoever has the token of the settings; without one there is no such address."""

import hmac
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from idp.http.errors import NotFound
from idp.platform.metrics import CONTENT_TYPE, Metrics


class Exposition:
    """``GET /metrics`` in Prometheus' text format. ``shared_folder`` is where several workers keep their values."""

    def __init__(self, metrics: Metrics, token: str, shared_folder: Path | None) -> None:
        self._metrics = metrics
        self._expected = f"Bearer {token}".encode() if token else None
        self._shared_folder = shared_folder

    async def show(self, request: Request) -> Response:
        """Answer with the measurements; anybody without the token learns nothing of this address."""
        given = request.headers.get("authorization", "").encode()
        if self._expected is None or not hmac.compare_digest(given, self._expected):
            raise NotFound
        body = self._metrics.write_exposition(self._shared_folder)
        return Response(body, headers={"cache-control": "no-store", "content-type": CONTENT_TYPE})
