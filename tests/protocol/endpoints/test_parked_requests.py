"""A request that another site posted waits here for our own GET: nothing of it stands in an address, and it can be asked for again."""

from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from idp.kernel.levels import Factor
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import BACK, REDIRECT_URI, Provider, Somebody
from tests.support.web import Web, find_code

CROSSED = {"sec-fetch-site": "cross-site"}
LIMIT = 65_536


def ask(client: str, **changes: str) -> dict[str, str]:
    """Return the form of an authorization request."""
    form = {"client_id": client, "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid", "state": "state-1"}
    return {**form, "code_challenge": CHALLENGE, "code_challenge_method": "S256", **changes}


async def open_browser(provider: Provider, person: Somebody) -> Web:
    """Return a browser in which the person is signed in."""
    web = Web(provider)
    web.client.cookies.update(await provider.open_session(person, Factor.PASSWORD))
    return web


async def cross(web: Web, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
    """Post as another site's page does: without our cookies."""
    kept = dict(web.client.cookies)
    web.client.cookies.clear()
    answer = await web.client.post(path, data=form, headers=headers or CROSSED)
    web.client.cookies.update(kept)
    return answer


def read_query(answer: httpx2.Response) -> dict[str, str]:
    """Return the parameters of the address that an answer leads to."""
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def test_nothing_that_was_posted_stands_in_the_address(provider: Provider) -> None:
    await provider.add_client("parked")
    web = await open_browser(provider, await provider.add_person())
    answer = await cross(web, "/authorize", ask("parked", login_hint="13800000000", ui_locales="en"))
    assert set(read_query(answer)) == {"client_id", "ui_locales", "parked"}
    assert len(read_query(answer)["parked"]) >= 22
    landed = await web.client.get(answer.headers["location"])
    assert landed.headers["location"].startswith(REDIRECT_URI), landed.text
    assert read_query(landed)["state"] == "state-1"


async def test_the_address_stays_short(provider: Provider) -> None:
    await provider.add_client("brief")
    answers = [await cross(Web(provider), "/authorize", ask("brief", ui_locales="e" * length)) for length in (200, 201)]
    assert [set(read_query(answer)) for answer in answers] == [{"client_id", "ui_locales", "parked"}, {"client_id", "parked"}]


async def test_a_reload_and_back_find_the_request_again(provider: Provider) -> None:
    await provider.add_client("again")
    web = await open_browser(provider, await provider.add_person())
    address = (await cross(web, "/authorize", ask("again"))).headers["location"]
    codes = {read_query(await web.client.get(address))["code"] for _ in range(3)}
    assert len(codes) == 3, "as a person expects of a GET: each time an answer"
    provider.clock.advance(299)
    assert "code" in read_query(await web.client.get(address))


@pytest.mark.parametrize("signed_in", [True, False], ids=["session", "nobody"])
async def test_a_browser_that_does_not_say_where_it_comes_from_is_known_by_its_session(provider: Provider, signed_in: bool) -> None:
    client = await provider.add_client(f"silent-{signed_in}".lower())
    web = await open_browser(provider, await provider.add_person()) if signed_in else Web(provider)
    answer = await web.client.post("/authorize", data=ask(client))
    assert ("code" if signed_in else "parked") in read_query(answer)
    from_us = await web.client.post("/authorize", data=ask(client), headers={"sec-fetch-site": "same-site"})
    assert from_us.headers["location"].startswith(REDIRECT_URI if signed_in else "/continue?i=")


async def test_a_browser_that_says_another_site_sent_it_takes_the_detour_even_with_a_session(provider: Provider) -> None:
    await provider.add_client("unsafe")
    web = await open_browser(provider, await provider.add_person())
    assert "parked" in read_query(await web.client.post("/authorize", data=ask("unsafe"), headers=CROSSED))


async def test_the_longest_request_that_is_read_waits_too(provider: Provider) -> None:
    await provider.add_client("long")
    web = await open_browser(provider, await provider.add_person())
    form = ask("long", state="s" * 2_000, nonce="n" * 2_000)
    form |= {f"further_{number}": "x" * 2_000 for number in range(30)}
    room = LIMIT - len(urlencode(form)) - len("&login_hint=")
    assert 0 < room <= 2_000
    form["login_hint"] = "h" * room
    assert len(urlencode(form)) == LIMIT
    address = (await cross(web, "/authorize", form)).headers["location"]
    assert len(address) < 100
    assert read_query(await web.client.get(address))["state"] == form["state"]
    assert (await cross(web, "/authorize", {**form, "a": ""})).status_code == 413


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"state": "x" * 2_001}, "parameter_too_long"),
        ({f"p{number}": "" for number in range(40)}, "parameter_too_long"),
        ({"state": "\0"}, "request_refused"),
    ],
    ids=["long", "many", "control"],
)
@pytest.mark.parametrize("path", ["/authorize", "/sign-out"])
async def test_what_cannot_be_read_is_not_kept(provider: Provider, path: str, form: dict[str, str], code: str) -> None:
    page = await cross(Web(provider), path, {**ask("nobody"), **form})
    assert (page.status_code, find_code(page)) == (400, code)


async def test_a_request_that_is_gone_leads_back_to_its_department(provider: Provider) -> None:
    await provider.add_client("late", name="迟到部门（样例）", name_en="Late department (sample)")
    web = await open_browser(provider, await provider.add_person())
    address = (await cross(web, "/authorize", ask("late", ui_locales="en"))).headers["location"]
    provider.clock.advance(300)
    page = await web.client.get(address)
    assert (page.status_code, find_code(page)) == (410, "interaction_expired")
    assert f'id="back" href="{BACK}"' in page.text
    assert "Late department (sample)" in page.text


@pytest.mark.parametrize("name", ["x", "x" * 65, "x" * 2_000, "一"])
async def test_a_name_that_never_was_is_the_same_page(provider: Provider, name: str) -> None:
    page = await Web(provider).client.get("/authorize?" + urlencode({"parked": name, "client_id": "nobody"}))
    assert (page.status_code, find_code(page)) == (410, "interaction_expired")
    assert 'id="back" href="/"' in page.text


async def test_only_what_was_posted_counts(provider: Provider) -> None:
    await provider.add_client("whole")
    web = await open_browser(provider, await provider.add_person())
    name = read_query(await cross(web, "/authorize", ask("whole")))["parked"]
    landed = await web.client.get("/authorize?" + urlencode({**ask("whole", state="another"), "parked": name}))
    assert read_query(landed)["state"] == "state-1"
    elsewhere = await web.client.get("/sign-out?" + urlencode({"parked": name}))
    assert elsewhere.status_code == 200, "a request of one address means nothing at another: the person is asked"
    leaving = read_query(await cross(web, "/sign-out", {"state": "bye"}))["parked"]
    page = await web.client.get("/authorize?" + urlencode({"parked": leaving}))
    assert (page.status_code, find_code(page)) == (410, "interaction_expired")


async def test_a_posted_sign_out_is_the_same_as_one_in_the_address(provider: Provider) -> None:
    await provider.add_client("leaving-by-post")
    person = await provider.add_person()
    web = await open_browser(provider, person)
    hint = (await provider.get_tokens("leaving-by-post", dict(web.client.cookies)))["id_token"]
    wish = {"id_token_hint": hint, "post_logout_redirect_uri": BACK, "state": "bye"}
    for headers in (CROSSED, {"sec-fetch-site": "same-origin"}):
        answer = await cross(web, "/sign-out", wish, **headers)
        assert set(read_query(answer)) == {"parked"}, "the hint names the person to whoever reads logs"
    for _ in range(2):
        landed = await web.client.get(answer.headers["location"])
        assert landed.headers["location"] == BACK + "?state=bye"
    assert (await provider.authorize("leaving-by-post", dict(web.client.cookies), prompt="none")).parameters["error"] == "login_required"


async def test_a_posted_sign_out_that_asks_can_be_reloaded_and_asks_without_the_department_later(provider: Provider) -> None:
    await provider.add_client("asking-by-post")
    web = await open_browser(provider, await provider.add_person())
    wish = {"post_logout_redirect_uri": BACK, "client_id": "asking-by-post", "ui_locales": "en"}
    address = (await cross(web, "/sign-out", wish)).headers["location"]
    pages = [await web.get(address), await web.get(address)]
    provider.clock.advance(301)
    pages.append(await web.get(address))
    for page in pages:
        assert page.status_code == 200
        assert 'action="/sign-out"' in page.text
        assert 'lang="en"' in page.text
    done = await web.submit("/sign-out", decision="sign_out")
    assert done.url.path == "/signed-out"


async def test_a_question_fits_whatever_was_asked(provider: Provider) -> None:
    web = await open_browser(provider, await provider.add_person())
    lengths = {"state": 2_000, "id_token_hint": 8_000, **{f"further_{number}": 1_900 for number in range(11)}}
    body = "&".join(f"{name}={'%s' * length}" for name, length in lengths.items()).replace("%s", '"')
    form = {"content-type": "application/x-www-form-urlencoded"}
    parked = await web.client.post("/sign-out", content=body, headers=form)
    page = await web.get(parked.headers["location"])
    assert page.status_code == 200, "each quotation mark takes more room in what is kept than in what was sent"
    assert 'action="/sign-out"' in page.text


async def test_a_flow_fits_whatever_was_asked(provider: Provider) -> None:
    client = await provider.add_client("quoting")
    quoted = dict.fromkeys(("state", "nonce", "login_hint", "ui_locales", "acr_values"), '"' * 2_000)
    claims = '{"userinfo":{' + ",".join(f'"{number}":null' for number in range(600)) + "}}"
    form = {**ask(client), **quoted, "claims": claims, "scope": "openid " + '"' * 1_990}
    parked = await cross(Web(provider), "/authorize", form)
    landed = await Web(provider).client.get(parked.headers["location"])
    assert landed.headers["location"].startswith("/continue?i="), landed.text


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencodedx", ""]
)
@pytest.mark.parametrize("path", ["/authorize", "/sign-out"])
async def test_what_is_no_form_is_neither_read_nor_kept(provider: Provider, path: str, kind: str) -> None:
    client = await provider.add_client("formless") if "formless" not in provider.secrets else "formless"
    web = await open_browser(provider, await provider.add_person())
    for site in ("cross-site", "same-origin"):
        page = await web.client.post(path, content=urlencode(ask(client)), headers={"content-type": kind, "sec-fetch-site": site})
        assert (page.status_code, find_code(page)) == (400, "bad_form")
