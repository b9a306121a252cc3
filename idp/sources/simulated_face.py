"""Decides how the simulated real-person check looks to a person: a page, a button for the camera, a ticket to take back."""

import html
from collections import OrderedDict
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from idp.kernel.clock import Clock, Random
from idp.sources.addresses import is_loopback
from idp.sources.simulated_register import Face

TICKET_LIFE = timedelta(minutes=5)
MOST_TICKETS = 10_000
LONGEST_RETURN, LONGEST_STATE = 1_000, 200
HEADERS = {"cache-control": "no-store", "content-security-policy": "default-src 'none'; frame-ancestors 'none'", "x-synthetic-data": "yes"}

PAGE = """<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>实人认证（模拟） Real-person check (simulated)</title>
</head>
<body>
<main>
<h1>实人认证（模拟）</h1>
<p lang="en">Real-person check (simulated)</p>
<p>这是模拟的认证机构：没有摄像头，不采集任何影像。请选择由谁面对镜头。</p>
<p lang="en">This is a simulated authority: there is no camera and no picture is taken. Choose who faces it.</p>
<form method="post" action="/face">
<input type="hidden" name="return_to" value="{return_to}">
<input type="hidden" name="state" value="{state}">
<p><button type="submit" name="face" value="own">本人 <span lang="en">The person</span></button></p>
<p><button type="submit" name="face" value="other">另一个人 <span lang="en">Somebody else</span></button></p>
<p><button type="submit" name="face" value="cancel">放弃 <span lang="en">Cancel</span></button></p>
</form>
</main>
</body>
</html>
"""


class FaceDesk:
    """Gives tickets of one use and five minutes, and shows the page that does it.

    ``GET /face?return_to=<loopback address>&state=<the caller's>`` → page; its form → 303 to ``return_to`` with ``ticket`` and ``state``,
    or with ``error=cancelled`` and ``state``.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._tickets: OrderedDict[str, tuple[Face, datetime]] = OrderedDict()

    def make_ticket(self, face: Face = Face.OWN) -> str:
        """Return a new ticket, as if the button had been pressed."""
        ticket = self._random(16).hex()
        self._tickets[ticket] = face, self._clock()
        while len(self._tickets) > MOST_TICKETS:
            self._tickets.popitem(last=False)
        return ticket

    def take_ticket(self, ticket: str) -> Face | None:
        """Return who stood before the camera, once; None for a ticket that was never given, was taken, or is too old."""
        found = self._tickets.pop(ticket, None)
        return found[0] if found is not None and self._clock() - found[1] < TICKET_LIFE else None

    async def show(self, request: Request) -> Response:
        """Show the page."""
        return_to, state = request.query_params.get("return_to", ""), request.query_params.get("state", "")
        if not is_return_address(return_to) or len(state) > LONGEST_STATE:
            return Response("return_to must be an address on this machine", 400, HEADERS, "text/plain")
        return HTMLResponse(PAGE.format(return_to=html.escape(return_to), state=html.escape(state)), headers=HEADERS)

    async def submit(self, body: bytes) -> Response:
        """Send the person back with a ticket; ``body`` is the form's, bounded."""
        try:
            form = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=10))
        except ValueError:
            form = {}
        return_to, state, face = (form.get(name, "") for name in ("return_to", "state", "face"))
        if not is_return_address(return_to) or len(state) > LONGEST_STATE:
            return Response("return_to must be an address on this machine", 400, HEADERS, "text/plain")
        if face == "cancel":
            return _send_back(return_to, {"error": "cancelled", "state": state})
        if face not in (Face.OWN, Face.OTHER):
            return Response("face is own, other or cancel", 400, HEADERS, "text/plain")
        return _send_back(return_to, {"ticket": self.make_ticket(Face(face)), "state": state})


def is_return_address(address: str) -> bool:
    """Tell whether a person may be sent there: an http or https address on this machine, without credentials or fragment."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = len(address) <= LONGEST_RETURN and address.isascii() and address.isprintable() and not set(address) & set(' \\"<>')
    return plain and parts.scheme in ("http", "https") and "@" not in parts.netloc and not parts.fragment and is_loopback(host)


def _send_back(address: str, parameters: dict[str, str]) -> Response:
    joint = "&" if urlsplit(address).query else "" if address.endswith("?") else "?"
    return RedirectResponse(f"{address}{joint}{urlencode(parameters)}", 303, HEADERS)
