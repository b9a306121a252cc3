"""Decides how our few static files are served: content hash in the path, cached for a year, gzip prepared at start."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from idp.http.errors import NotFound

STATIC = Path(__file__).parent / "static"
TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    name: str
    digest: str
    content_type: str
    plain: bytes
    packed: bytes


class StaticFiles:
    """Every file of one flat directory, read once."""

    def __init__(self, directory: Path = STATIC) -> None:
        self._files: dict[str, _File] = {}
        for path in sorted(directory.iterdir()):
            if path.suffix in TYPES:
                plain = path.read_bytes()
                digest = hashlib.sha256(plain).hexdigest()[:16]
                self._files[path.name] = _File(path.name, digest, TYPES[path.suffix], plain, gzip.compress(plain, 9, mtime=0))

    def find_path(self, name: str) -> str:
        """Return the address of a file; raise KeyError when there is none of that name."""
        file = self._files[name]
        return f"/static/{file.digest}/{file.name}"

    async def serve(self, request: Request) -> Response:
        """Answer ``/static/{digest}/{name}``. Another digest (an older page) gets the present file, not cached for long."""
        file = self._files.get(request.path_params["name"])
        if file is None:
            raise NotFound()
        forever = request.path_params["digest"] == file.digest
        return self._answer(file, request, FOREVER if forever else "no-cache")

    async def serve_favicon(self, request: Request) -> Response:
        """Answer ``/favicon.ico``, which browsers ask for where no page names an icon."""
        file = self._files.get("emblem.svg")
        if file is None:
            raise NotFound()
        return self._answer(file, request, "public, max-age=86400")

    @staticmethod
    def _answer(file: _File, request: Request, cache: str) -> Response:
        headers = {"cache-control": cache, "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(file.packed, headers=headers, media_type=file.content_type)
        return Response(file.plain, headers=headers, media_type=file.content_type)
