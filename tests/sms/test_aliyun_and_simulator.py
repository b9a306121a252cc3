"""What we send is signed as the vendor publishes it, forged requests are refused, and every answer has a meaning for us."""

import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from idp.kernel.clock import Random
from sms import (
    TEMPLATES,
    Action,
    AliyunGateway,
    ShortMessage,
    SimulatorRefused,
    SmsRefused,
    SmsUnavailable,
    create_simulator,
    run_simulator,
)
from sms.acs3 import EMPTY_BODY_HASH, encode_query, read_authorization, sign_request, write_authorization
from sms.aliyun import REFUSALS
from sms.simulator import KEPT
from tests.support.clocks import ManualClock

ADDRESS = "http://127.0.0.1:8911"
SECRET = "synthetic-secret"
CODE = ShortMessage("+8613800138000", "sign_in_code", {"name": "张*", "code": "123456", "minutes": "5"}, "message-1")
TEXT = "【一证通】张*，您的登录验证码是123456，5分钟内有效。请勿告诉他人。"


@pytest.fixture
def simulator(clock: ManualClock) -> Starlette:
    return create_simulator(keys={"id-1": SECRET}, sign_name="一证通", clock=clock)


@pytest.fixture
async def client(simulator: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(simulator), base_url=ADDRESS) as opened:
        yield opened


def connect(client: httpx2.AsyncClient, clock: ManualClock, random: Random, **changed: Any) -> AliyunGateway:
    settings = {
        "endpoint": ADDRESS,
        "access_key_id": "id-1",
        "access_key_secret": SECRET,
        "sign_name": "一证通",
        "templates": {template.name: template.code for template in TEMPLATES.values()},
        "clock": clock,
        "random": random,
    }
    return AliyunGateway(client, **{**settings, **changed})


@pytest.fixture
def gateway(client: httpx2.AsyncClient, clock: ManualClock, random: Random) -> AliyunGateway:
    return connect(client, clock, random)


async def read_messages(client: httpx2.AsyncClient, phone: str | None = None) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = (await client.get("/messages", params={"phone": phone} if phone else {})).json()
    return messages


def test_the_published_example_is_reproduced() -> None:
    """The vendor's own worked example of the signature (fixed parameters, RunInstances)."""
    query = encode_query([("RegionId", "cn-shanghai"), ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd")])
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": EMPTY_BODY_HASH,
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    signature = sign_request("YourAccessKeySecret", "POST", "/", query, headers, sorted(headers), EMPTY_BODY_HASH)
    assert signature == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"


def test_the_query_is_encoded_by_rfc_3986() -> None:
    assert encode_query([("b", "~ *+/"), ("a", "中")]) == "a=%E4%B8%AD&b=~%20%2A%2B%2F"


async def test_a_message_arrives_and_is_shown_newest_first(client: httpx2.AsyncClient, gateway: AliyunGateway, clock: ManualClock) -> None:
    receipt = await gateway.send(CODE)
    assert receipt.reference.endswith("^0")
    clock.advance(90)
    await gateway.send(ShortMessage("13800138000", "sign_in_code", {"code": "654321", "minutes": "5"}))
    await gateway.send(ShortMessage("13900139000", "sign_in_code", {"code": "111111", "minutes": "5"}))
    newest, oldest = await read_messages(client, "13800138000")
    assert oldest == {"phone": "13800138000", "text": TEXT, "code": "123456", "sent_at": "2026-03-02T01:00:00.000Z"}
    assert (newest["code"], newest["text"]) == ("654321", "【一证通】您的登录验证码是654321，5分钟内有效。请勿告诉他人。")
    assert newest["sent_at"] == "2026-03-02T01:01:30.000Z"
    assert await read_messages(client, "+8613800138000") == [newest, oldest]
    assert [m["code"] for m in await read_messages(client)] == ["111111", "654321", "123456"]
    assert (await client.get("/messages?phone=x")).status_code == 400


async def test_only_the_last_thousand_messages_are_kept(client: httpx2.AsyncClient, gateway: AliyunGateway) -> None:
    for number in range(KEPT + 5):
        await gateway.send(ShortMessage("13800138000", "sign_in_code", {"code": f"{number:06}", "minutes": "5"}))
    kept = await read_messages(client)
    assert (len(kept), kept[0]["code"], kept[-1]["code"]) == (KEPT, f"{KEPT + 4:06}", "000005")


@pytest.mark.parametrize(
    "phone", ["", "12345678901", "1380013800", "138001380000", "+85261234567", "１３８００１３８０００", "13800138000\n"]
)
async def test_other_numbers_are_refused_unsent(client: httpx2.AsyncClient, gateway: AliyunGateway, phone: str) -> None:
    with pytest.raises(SmsRefused) as refused:
        await gateway.send(ShortMessage(phone, "sign_in_code", CODE.parameters))
    assert (refused.value.reason, refused.value.action) == ("phone_number", Action.TELL_PERSON)
    assert await read_messages(client) == []


@pytest.mark.parametrize(
    "template, parameters, reason",
    [
        ("nothing", {}, "template_unknown"),
        ("sign_in_code", {"name": "张*", "code": "1"}, "template_parameters"),
        ("sign_in_code", {"name": "x" * 41, "code": "1", "minutes": "5"}, "template_parameters"),
        ("sign_in_code", {"name": "https://x", "code": "1", "minutes": "5"}, "template_parameters"),
        ("sign_in_code", {"name": "a\nb", "code": "1", "minutes": "5"}, "template_parameters"),
        ("sign_in_code", {"code": 123456, "minutes": "5"}, "template_parameters"),
    ],
)
async def test_messages_that_make_no_sense_are_refused_unsent(
    client: httpx2.AsyncClient, gateway: AliyunGateway, template: str, parameters: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SmsRefused) as refused:
        await gateway.send(ShortMessage("13800138000", template, parameters))
    assert (refused.value.reason, refused.value.action) == (reason, Action.ALARM)
    assert await read_messages(client) == []


async def test_whoever_registers_is_not_named_before_anything_is_proved(client: httpx2.AsyncClient, gateway: AliyunGateway) -> None:
    parameters = {"code": "123456", "minutes": "5"}
    await gateway.send(ShortMessage("13800138000", "registration_code", {**parameters, "name": ""}))
    await gateway.send(ShortMessage("13800138000", "registration_code", {**parameters, "name": "*小明"}))
    named, unnamed = await read_messages(client)
    assert unnamed["text"].startswith("【一证通】您注册账号的验证码是123456，")
    assert named["text"].startswith("【一证通】*小明，您注册账号的验证码是123456，")


def test_no_template_holds_a_link_or_an_unknown_parameter() -> None:
    for template in TEMPLATES.values():
        assert "http" not in template.text
        assert "." not in template.text
        known = ("name", "code", "minutes", "time", "department", "reason", "what")
        assert {name for name in known if f"${{{name}}}" in template.text} == set(template.parameters)


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"access_key_id": "id-2"}, "credentials"),
        ({"access_key_secret": "wrong"}, "credentials"),
        ({"sign_name": "别的"}, "sign_name"),
        ({"templates": {"sign_in_code": "SMS_1"}}, "template"),
    ],
)
async def test_wrong_settings_are_told_apart(
    client: httpx2.AsyncClient, clock: ManualClock, random: Random, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SmsRefused) as refused:
        await connect(client, clock, random, **changed).send(CODE)
    assert refused.value.reason == reason
    assert await read_messages(client) == []


@pytest.mark.parametrize("minutes, taken", [(-14, True), (14, True), (-16, False), (16, False)])
async def test_a_clock_that_is_off_is_refused(
    client: httpx2.AsyncClient, clock: ManualClock, random: Random, minutes: int, taken: bool
) -> None:
    off = ManualClock(clock.now)
    off.advance(minutes * 60)
    gateway = connect(client, off, random)
    if taken:
        await gateway.send(CODE)
    else:
        with pytest.raises(SmsRefused) as refused:
            await gateway.send(CODE)
        assert refused.value.reason == "clock"


async def forge(client: httpx2.AsyncClient, gateway: AliyunGateway, code: str, **changed: Any) -> None:
    """Send a signed request after a change that its signature does not cover."""
    url, headers = gateway.prepare(CODE)
    headers |= changed.get("headers", {})
    for name in changed.get("without", ()):
        del headers[name]
    response = await client.request(
        changed.get("method", "POST"), changed.get("url", url), headers=headers, content=changed.get("body", b"")
    )
    assert response.json().get("Code") == code, response.text
    assert response.status_code >= 400
    assert await read_messages(client) == []


async def test_an_unsigned_request_is_refused(client: httpx2.AsyncClient, gateway: AliyunGateway) -> None:
    await forge(client, gateway, "MissingAuthorization", without=["authorization"])
    await forge(client, gateway, "MissingAuthorization", headers={"authorization": "Bearer x"})
    await forge(client, gateway, "MissingAuthorization", headers={"authorization": "ACS3-HMAC-SHA256 Credential=id-1"})


async def test_a_changed_number_is_refused(client: httpx2.AsyncClient, gateway: AliyunGateway) -> None:
    url, _ = gateway.prepare(CODE)
    await forge(client, gateway, "SignatureDoesNotMatch", url=url.replace("13800138000", "13900139000"))
    await forge(client, gateway, "SignatureDoesNotMatch", url=url + "&Extra=1")


async def test_a_changed_header_or_body_is_refused(client: httpx2.AsyncClient, gateway: AliyunGateway) -> None:
    await forge(client, gateway, "SignatureDoesNotMatch", headers={"x-acs-signature-nonce": "another"})
    await forge(client, gateway, "SignatureDoesNotMatch", body=b"{}")
    await forge(client, gateway, "SignatureDoesNotMatch", headers={"x-acs-content-sha256": hashlib.sha256(b"{}").hexdigest()}, body=b"{}")
    await forge(client, gateway, "RequestTooLarge", body=b"x" * 20_000)


@pytest.mark.parametrize("unsigned", ["x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "host", "x-acs-action"])
async def test_every_header_that_matters_must_be_signed(client: httpx2.AsyncClient, gateway: AliyunGateway, unsigned: str) -> None:
    url, headers = gateway.prepare(CODE)
    names = [name for name in read_authorization(headers["authorization"])[1] if name != unsigned]
    signature = sign_request(SECRET, "POST", "/", url.partition("?")[2], headers, names, EMPTY_BODY_HASH)
    await forge(client, gateway, "SignatureDoesNotMatch", headers={"authorization": write_authorization("id-1", names, signature)})


async def test_a_repeated_request_is_refused(client: httpx2.AsyncClient, gateway: AliyunGateway, clock: ManualClock) -> None:
    url, headers = gateway.prepare(CODE)
    assert (await client.post(url, headers=headers)).json()["Code"] == "OK"
    clock.advance(14 * 60)
    assert (await client.post(url, headers=headers)).json()["Code"] == "SignatureNonceUsed"
    assert len(await read_messages(client)) == 1


@pytest.mark.parametrize("code", sorted(REFUSALS))
async def test_every_code_of_the_vendor_has_its_action(client: httpx2.AsyncClient, gateway: AliyunGateway, code: str) -> None:
    assert (await client.post("/faults", json={"fault": code, "times": 1})).status_code == 200
    with pytest.raises(SmsRefused) as refused:
        await gateway.send(CODE)
    assert (refused.value.reason, refused.value.action) == REFUSALS[code]
    await gateway.send(CODE)


@pytest.mark.parametrize("fault, reason", [("unavailable", "vendor"), ("garbage", "answer"), ("isp.SYSTEM_ERROR", "vendor")])
async def test_passing_troubles_are_told_as_such(client: httpx2.AsyncClient, gateway: AliyunGateway, fault: str, reason: str) -> None:
    await client.post("/faults", json={"fault": fault, "times": 2})
    for _ in range(2):
        with pytest.raises(SmsUnavailable) as unavailable:
            await gateway.send(CODE)
        assert unavailable.value.reason == reason
    await gateway.send(CODE)
    assert len(await read_messages(client)) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"Code":1}', b"\xff", b"[" * 60_000, b'"' + b"x" * 70_000 + b'"'])
async def test_odd_answers_are_no_answers(clock: ManualClock, random: Random, content: bytes) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=content))
    async with httpx2.AsyncClient(transport=transport) as client:
        with pytest.raises(SmsUnavailable):
            await connect(client, clock, random).send(CODE)


@pytest.mark.parametrize(
    "error, reason", [(httpx2.ReadTimeout("13800138000"), "timeout"), (httpx2.ConnectError("13800138000"), "connection")]
)
async def test_errors_of_the_line_name_nobody(clock: ManualClock, random: Random, error: Exception, reason: str) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise error

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(fail)) as client:
        with pytest.raises(SmsUnavailable) as unavailable:
            await connect(client, clock, random).send(CODE)
    assert str(unavailable.value) == reason
    assert "13800138000" not in repr(CODE)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"fault":1,"times":1}', b'{"fault":"x","times":true}', json.dumps({"fault": "x", "times": -1})]
)
async def test_odd_switches_are_refused(client: httpx2.AsyncClient, body: bytes) -> None:
    assert (await client.post("/faults", content=body)).status_code == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])
def test_it_never_listens_where_others_can_read(simulator: Starlette, host: str) -> None:
    with pytest.raises(SimulatorRefused):
        run_simulator(simulator, host, 0)


async def test_it_answers_on_loopback_only(simulator: Starlette, gateway: AliyunGateway) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(simulator), base_url="http://192.0.2.1:8911") as elsewhere:
        assert (await elsewhere.get("/messages")).status_code == 403
        assert (await elsewhere.post("/faults", json={"fault": "x", "times": 1})).status_code == 403
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(simulator), base_url=ADDRESS) as rebound:
        assert (await rebound.get("/messages", headers={"host": "attacker.example"})).status_code == 403


def test_serving_for_real_does_not_load_the_simulator() -> None:
    program = "import sys, sms; print('sms.simulator' in sys.modules, 'starlette' in sys.modules); from sms import create_simulator"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
