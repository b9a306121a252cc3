"""Decides what the demo shows of its simulated authorities: their questions, their faults, and a form to choose."""

import html
from urllib.parse import urlsplit

import httpx2
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from idp.demo.authorities import PECULIAR
from idp.http.forms import BadForm, read_form
from idp.sources.simulated_register import FaultKind

PATH = "/demo/authorities"
MARK = {"cache-control": "no-store", "x-synthetic-data": "yes"}
FAULTS = {
    "": "正常 answers well",
    FaultKind.SLOW: "慢 slow",
    FaultKind.SILENT: "不回答 silent",
    FaultKind.ERROR_500: "内部错误 error 500",
    FaultKind.TRUNCATED_JSON: "应答残缺 truncated JSON",
    FaultKind.WRONG_SIGNATURE: "签名错误 wrong signature",
    FaultKind.DUPLICATE: "重放旧应答 an older reply replayed",
    FaultKind.LIMIT: "超出次数 limited",
    FaultKind.UNAVAILABLE: "暂停服务 unavailable",
}
PAGE = """<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>模拟核验机构 Simulated authorities</title></head>
<body>
<main>
<h1>模拟核验机构 Simulated authorities</h1>
<p>这里没有真实机构，没有真实人员。There is no real authority and no real person here.
<a href="/demo">演示首页 the demo</a></p>
<table>
<caption>每家机构现在怎样回答 How each answers now</caption>
<thead><tr><th scope="col">问题 Kind</th><th scope="col">次数 Asked</th><th scope="col">故障 Fault</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
<h2>选择故障 Choose a fault</h2>
<form method="post" action="{path}">
<p><label>问题 Kind <select name="kind">{kinds}</select></label></p>
<p><label>故障 Fault <select name="fault">{faults}</select></label></p>
<p><label>次数，留空为一直 How often, empty for always <input name="times" inputmode="numeric" autocomplete="off" maxlength="6"></label></p>
<p><label>慢几秒 Seconds of slow <input name="seconds" inputmode="decimal" autocomplete="off" maxlength="5" value="2"></label></p>
<p><button type="submit">确定 Choose</button></p>
</form>
<h2>特殊人员 Peculiar people</h2>
<ul>
{people}
</ul>
</main>
</body>
</html>
"""


class AuthoritiesPage:
    """``GET /demo/authorities``: HTML for a browser, otherwise JSON. ``POST``: a form, or JSON ``{kind, fault, times, seconds}``."""

    def __init__(self, address: str) -> None:
        self._address = address

    def routes(self) -> list[BaseRoute]:
        """Return the routes to add."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.choose, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show the authorities."""
        status, rows = await self._ask(None)
        if "text/html" not in request.headers.get("accept", "") or status != 200:
            return _answer(rows, status)
        return HTMLResponse(_write_page(rows), headers=MARK)

    async def choose(self, request: Request) -> Response:
        """Choose a fault. A page of another site may not: the browser says where a form came from."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _answer({"error": "another site's page cannot choose faults"}, 403)
        if request.headers.get("content-type", "").startswith("application/json"):
            status, rows = await self._ask(await request.body())
            return _answer(rows, status)
        form = await read_form(request)
        try:
            times = int(form.get("times", 6)) if form.get("times", 6) else None
            seconds = float(form.get("seconds", 5) or 2)
        except ValueError:
            raise BadForm() from None
        choice = {"kind": form.get("kind", 40), "fault": form.get("fault", 40), "times": times, "seconds": seconds}
        status, rows = await self._ask(msgspec.json.encode(choice))
        return RedirectResponse(PATH, 303) if status == 200 else _answer(rows, status)

    async def _ask(self, choice: bytes | None) -> tuple[int, list[dict[str, object]]]:
        async with httpx2.AsyncClient(trust_env=False) as client:
            try:
                if choice is None:
                    reply = await client.get(f"{self._address}/faults")
                else:
                    reply = await client.post(f"{self._address}/faults", content=choice, headers={"content-type": "application/json"})
            except httpx2.HTTPError:
                return 502, [{"error": "the simulated authorities do not answer"}]
        return reply.status_code, reply.json()


def find_address(endpoints: list[str]) -> str:
    """Return where the simulated authorities listen: what the endpoints of the settings begin with."""
    return "{0.scheme}://{0.netloc}".format(urlsplit(endpoints[0])) if endpoints else ""


def _write_page(rows: list[dict[str, object]]) -> str:
    cells = "\n".join(
        f'<tr><th scope="row">{_escape(row["kind"])}<br>{_escape(row["authority"])}</th><td>{_escape(row["calls"])}</td>'
        f"<td>{_escape(FAULTS.get(str(row['fault']), ''))}{_count(row['times'])}</td></tr>"
        for row in rows
    )
    kinds = "".join(f'<option value="{_escape(value)}">{_escape(value)}</option>' for value in ["*", *(row["kind"] for row in rows)])
    faults = "".join(f'<option value="{value}">{_escape(text)}</option>' for value, text in FAULTS.items())
    people = "\n".join(
        f'<li><a href="/demo/people?after={numbers.start - 1}&amp;limit={len(numbers)}">{numbers.start}–{numbers.stop - 1}</a>: '
        f"{_escape(what)}</li>"
        for numbers, (what, _) in PECULIAR.items()
    )
    return PAGE.format(path=PATH, rows=cells, kinds=kinds, faults=faults, people=people)


def _count(times: object) -> str:
    return "" if times is None else f" ×{_escape(times)}"


def _escape(value: object) -> str:
    return html.escape(str(value))


def _answer(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, MARK, "application/json")
