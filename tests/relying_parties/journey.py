"""Decides what every relying party must manage: sign-in, the claims by its own means, sign-out after which nobody is signed in."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idp.platform.child_processes import find_free_port
from tests.relying_parties.programs import PROGRAMS, Program, Start, make_folder
from tests.support.forms import FormsBrowser
from tests.support.real_provider import PASSWORD, Citizen, RealProvider, wait_for

PERSONAL = ("name", "phone_number", "id_document", "birthdate", "gender", "email", "address")


@dataclass(frozen=True)
class Site:
    """A relying party that runs: its address, its client id, and what it wrote."""

    program: Program
    home: str
    client_id: str
    folder: Path

    def read_log(self) -> str:
        """Return what it wrote, for whoever reads why it failed."""
        logs = [self.folder / name for name in ("output.log", "error.log")]
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in logs if path.exists())


@dataclass(frozen=True)
class Told:
    """What one journey found."""

    version: str
    id_token: dict[str, Any]
    userinfo: dict[str, Any]
    hops: tuple[str, ...]
    """Addresses of the sign-out."""
    declined: str
    """What the site said when the person declined."""
    silent: str
    """What the site said to ``prompt=none`` after the sign-out, empty where it cannot ask."""


@contextmanager
def run_site(provider: RealProvider, name: str, client_id: str = "", *further: str) -> Iterator[Site]:
    """Register a relying party by the operator's command, start it, and end it by its process."""
    program = PROGRAMS[name]
    home = f"http://127.0.0.1:{find_free_port()}"
    client_id = client_id or f"sample-{name.replace('_', '-')}"
    command = ["clients", "add", client_id, "--name", f"样例部门 {name}", "--sector", client_id, "--live"]
    command += ["--redirect-uri", home + program.callback, "--post-logout-redirect-uri", home + "/"]
    command += ["--scope", "profile", "--scope", "real_name", "--minimum-acr", "substantial"]
    command += ["--entitlement", "样例业务:consent:name:Sample business", *program.registered]
    command += ["--backchannel-logout-uri", home + program.backchannel] if program.backchannel else []
    command += further
    added = provider.run(*command)
    assert added.returncode == 0, added.stderr
    secret = dict(line.split(": ", 1) for line in added.stdout.splitlines())["client_secret"]
    environ = {"ISSUER": provider.issuer, "CLIENT_ID": client_id, "CLIENT_SECRET": secret, "PORT": home.rpartition(":")[2]}
    with make_folder(name) as folder:
        site = Site(program, home, client_id, Path(folder))
        process = program.start(Start(site.folder, {"PATH": os.environ["PATH"], "HOME": folder, **environ}))
        try:
            wait_for(lambda: process.poll() is not None or answers(home), f"{name} at {home}")
            assert process.poll() is None, site.read_log()
            yield site
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def answers(home: str) -> bool:
    """Return whether a site answers."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(home + "/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def walk(provider: RealProvider, site: Site, citizen: Citizen) -> Told:
    """Let one person decline at a site, then agree; look at what it learnt, sign out there, and come again."""
    browser = FormsBrowser()
    browser.get(site.home + "/")
    page = browser.follow("sign-in")
    assert page.url.startswith(provider.issuer + "/sign-in"), f"{page.url}: {page.text[:2000]}\n{site.read_log()}"
    page = browser.submit(page.find_form("identifier"), identifier=citizen.document, password=PASSWORD)
    page = browser.submit(page.find_form("code"), code=read_code(provider, citizen.phone))
    page = browser.submit(page.find_form("shown"), decision="deny")
    assert page.url.startswith(site.home)
    declined = page.texts["error"].strip()
    assert site.program.declined in declined
    page = browser.follow("sign-in")
    assert page.url.startswith(provider.issuer + "/consent"), "signed in already, and asked again"
    page = browser.submit(page.find_form("shown"), decision="allow")
    assert page.url.startswith(site.home), f"{page.url}: {page.text[:2000]}\n{site.read_log()}"
    assert "id-token" in page.texts, f"{page.text}\n{site.read_log()}"
    id_token, userinfo = json.loads(page.texts["id-token"]), json.loads(page.texts["userinfo"])
    check_claims(provider, site, citizen, id_token, userinfo)
    assert page.texts["who"] == citizen.name
    assert page.texts.get("email", userinfo.get("email")) == userinfo.get("email")
    assert page.texts.get("account", userinfo["sub"]) == userinfo["sub"]
    assert page.texts.get("header", "相同") == "相同"
    if site.program.silent:
        page = browser.get(site.home + site.program.silent)
        assert json.loads(page.texts["userinfo"])["sub"] == userinfo["sub"], "who is signed in enters with prompt=none"
    copied = FormsBrowser()
    copied.jar.set_cookie(next(cookie for cookie in browser.jar if cookie.name == provider.cookie_names.session))
    hops = sign_out(browser, site)
    silent = ""
    if site.program.silent:
        page = browser.get(site.home + site.program.silent)
        assert "id-token" not in page.texts
        silent = page.texts["error"].strip()
        assert site.program.refusal in silent
    for visitor in (browser, copied):  # it is the session that ended, not only this browser's cookie
        page = visitor.get(site.home + site.program.entrance)
        assert page.url.startswith(provider.issuer + "/sign-in"), "after the sign-out the person must sign in again"
        assert page.find_form("password").fields["identifier"] == ""
    return Told(site.program.read_version(), id_token, userinfo, hops, declined, silent)


def enter(provider: RealProvider, site: Site, citizen: Citizen, browser: FormsBrowser) -> None:
    """Sign a person in at a site with whatever the province asks for."""
    browser.get(site.home + "/")
    page = browser.follow("sign-in")
    if page.url.startswith(provider.issuer + "/sign-in"):
        page = browser.submit(page.find_form("identifier"), identifier=citizen.document, password=PASSWORD)
        page = browser.submit(page.find_form("code"), code=read_code(provider, citizen.phone))
    if page.url.startswith(provider.issuer + "/consent"):
        page = browser.submit(page.find_form("shown"), decision="allow")
    assert page.url.startswith(site.home), f"{page.url}: {page.text[:2000]}\n{site.read_log()}"
    assert "id-token" in page.texts, f"{page.text}\n{site.read_log()}"


def leave_elsewhere(provider: RealProvider, told: Site, left: Site, citizen: Citizen, seconds: float = 20) -> float:
    """Sign a person in at both sites, and out at ``left``; return after how many seconds ``told`` had forgotten the person.

    Nothing carries the news there but the provider: the browser that asks has the session cookie of ``told`` and knows nothing else.
    """
    browser = FormsBrowser()
    enter(provider, told, citizen, browser)
    copied = FormsBrowser()
    for cookie in browser.jar:
        if cookie.name not in (provider.cookie_names.session, provider.cookie_names.browser):
            copied.jar.set_cookie(cookie)
    enter(provider, left, citizen, browser)
    assert "id-token" in copied.get(told.home + told.program.entrance).texts, "the copy is signed in as well"
    browser.get(left.home + "/")
    sign_out(browser, left)
    began = time.monotonic()
    while "id-token" in copied.get(told.home + told.program.entrance).texts:
        assert time.monotonic() - began < seconds, f"nobody told {told.program.name}\n{told.read_log()}\n{provider.read_log('worker')}"
        time.sleep(0.1)
    return time.monotonic() - began


def check_claims(provider: RealProvider, site: Site, citizen: Citizen, id_token: dict[str, Any], userinfo: dict[str, Any]) -> None:
    """Compare what the client read with who signed in."""
    assert id_token["iss"] == provider.issuer
    assert id_token["aud"] in (site.client_id, [site.client_id])
    assert id_token["acr"] == "urn:yizheng:acr:substantial"
    assert set(id_token["amr"]) >= {"pwd", "sms"}
    assert id_token["nonce"]
    assert not [claim for claim in PERSONAL if claim in id_token], "personal data travels in UserInfo alone"
    assert userinfo["sub"] == id_token["sub"]
    assert userinfo["name"] == citizen.name
    assert userinfo["real_name_verified"] is True
    assert userinfo["ial"] == 3
    wanted = {"name", "email"} if "email" in site.program.registered else {"name"}
    assert wanted == {claim for claim in PERSONAL if claim in userinfo}, "what the entitlements list, and no more"
    if "email" in wanted:
        assert (userinfo["email"], userinfo["email_verified"]) == (citizen.email, False)


def sign_out(browser: FormsBrowser, site: Site) -> tuple[str, ...]:
    """Use the site's own way out, which passes the provider's address without a page and ends at the site."""
    assert browser.page is not None
    browser.hops.clear()
    page = browser.follow("sign-out") if "sign-out" in browser.page.links else browser.submit(browser.page.forms[0])
    assert page.url.partition("?")[0] == site.home + "/", f"{page.url}: {page.text[:2000]}"
    assert "id-token" not in page.texts
    return tuple(browser.hops)


def read_code(provider: RealProvider, phone: str, seconds: float = 20) -> str:
    """Wait for the code that the gateway delivered to a phone."""
    query = urllib.parse.urlencode({"phone": phone})
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with urllib.request.urlopen(f"http://127.0.0.1:{provider.gateway.port}/messages?{query}", timeout=20) as response:
            messages = json.load(response)
        if messages:
            code: str = messages[0]["code"]
            return code
        time.sleep(0.05)
    raise AssertionError("no code came")
