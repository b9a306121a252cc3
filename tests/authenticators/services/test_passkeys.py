"""Making and using passkeys on a real database: what an authenticator signs is taken once, and only as it was asked for."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.authenticators.rules.passkey import CHALLENGE_LIFE, MOST, Passkey, find_relying_party
from idp.authenticators.rules.refusals import PasskeyRefused, PasskeysFull
from idp.authenticators.services.passkeys import CopiedPasskey, ForgedPasskey, Passkeys
from idp.kernel.clock import read_system_random
from idp.kernel.ids import decode_base64url, encode_base64url
from idp.platform.database import Database
from tests.sign_in.house import KEYS, House, Made
from tests.support.authenticator import BE, BS, UP, UV, Authenticator
from tests.support.clocks import ManualClock

ISSUER = "https://id.example.gov.cn"
BINDING = "flow-1"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


@pytest.fixture
async def passkeys(house: House) -> Passkeys:
    # A store of this test's own time, born before the first challenge as at a process's start.
    await house.database.write("DELETE FROM transients")
    await house.transients.born_at()
    party = find_relying_party(ISSUER)
    macs, names = KEYS.mac("codes"), KEYS.sealer("people")
    return Passkeys(house.database, house.transients, macs, names, house.clock, read_system_random, party, "一证通")


@pytest.fixture
async def person(house: House) -> Made:
    return await house.add_person()


def make_device(**more: Any) -> Authenticator:
    return Authenticator(**{"origin": ISSUER, "rp_id": "id.example.gov.cn", **more})


async def register(house: House, passkeys: Passkeys, person: Made, device: Authenticator) -> Passkey:
    options = await passkeys.ask_for_new(BINDING, person.person_id, "*明")
    passkey = await passkeys.read_new(BINDING, person.person_id, device.make(options))
    async with house.database.transaction() as tx:
        await passkeys.add(tx, passkey)
    return passkey


async def test_a_passkey_is_made_and_used(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    made = await register(house, passkeys, person, device)
    assert (made.transports, made.backup_eligible, made.backed_up) == (("hybrid", "internal"), True, True)
    used = await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING)))
    assert used.passkey.person_id == person.person_id
    house.clock.advance(5)
    await passkeys.note_use(used)
    (listed,) = await passkeys.list(person.person_id)
    assert (listed.sign_count, listed.last_used_at) == (1, house.clock())


async def test_what_a_browser_is_asked(house: House, passkeys: Passkeys, person: Made) -> None:
    asked = json.loads(await passkeys.ask_for_new(BINDING, person.person_id, "*明"))
    assert asked["rp"] == {"name": "一证通", "id": "id.example.gov.cn"}
    assert asked["attestation"] == "none"
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked["user"]["name"] == "*明", "a device may copy it to its maker: nothing more goes there"
    assert str(person.person_id.hex) not in json.dumps(asked)
    made = await register(house, passkeys, person, make_device())
    again = json.loads(await passkeys.ask_for_new(BINDING, person.person_id, "*明"))
    assert [one["id"] for one in again["excludeCredentials"]] == [encode_base64url(made.credential_id)]
    assert decode_base64url(again["user"]["id"]) == made.user_handle, "one person has one handle"
    use = json.loads(passkeys.ask(BINDING))
    assert (use["rpId"], use["userVerification"], use.get("allowCredentials", [])) == ("id.example.gov.cn", "required", [])


WRONG_MAKING: dict[str, dict[str, Any]] = {
    "without user verification": {"flags": UP | BE | BS},
    "without presence": {"flags": UV | BE | BS},
    "backed up but not eligible": {"flags": UP | UV | BS},
    "for another host": {"rp_id": "id.example.gov.cn.example.org"},
    "at another origin": {"origin": "https://id.example.org"},
    "at another port": {"origin": "https://id.example.gov.cn:8443"},
    "in a frame of another origin": {"cross_origin": True},
    "by an algorithm that was not asked": {"algorithm": -35},
    "with an attestation that nobody asked": {"fmt": "fido-u2f", "statement": {"sig": b"x", "x5c": [b"y"]}},
    "with a certificate that nobody asked": {"fmt": "packed", "statement": {"alg": -7, "sig": b"x", "x5c": [b"y"]}},
    "attesting itself wrongly": {"fmt": "packed", "statement": {"alg": -7, "sig": b"x"}},
    "saying something beside none": {"statement": {"sig": b"x"}},
}


@pytest.mark.parametrize("lie", list(WRONG_MAKING))
async def test_what_was_made_otherwise_than_asked_is_refused(passkeys: Passkeys, person: Made, lie: str) -> None:
    device = make_device(**WRONG_MAKING[lie])
    options = await passkeys.ask_for_new(BINDING, person.person_id, "*明")
    with pytest.raises(PasskeyRefused):
        await passkeys.read_new(BINDING, person.person_id, device.make(options))


WRONG_USE: dict[str, dict[str, Any]] = {
    "without user verification": {"flags": UP},
    "without presence": {"flags": UV},
    "for another host": {"rp_id": "example.gov.cn"},
    "at another origin": {"origin": "https://id.example.gov.cn.example.org"},
    "by another handle": {"user_handle": b"somebody else"},
}


@pytest.mark.parametrize("lie", list(WRONG_USE))
async def test_what_was_signed_otherwise_than_asked_is_forged(house: House, passkeys: Passkeys, person: Made, lie: str) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    vars(device).update(WRONG_USE[lie])
    with pytest.raises(ForgedPasskey):
        await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING)))


def _shorten(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda answer: answer.update({name: answer[name][:-8]})


@pytest.mark.parametrize("change", [_shorten("signature"), _shorten("authenticatorData"), lambda a: a.pop("signature")])
async def test_what_was_changed_after_signing_is_forged(
    house: House, passkeys: Passkeys, person: Made, change: Callable[[dict[str, Any]], object]
) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    with pytest.raises(ForgedPasskey):
        await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING), change))


async def test_another_key_with_the_same_name_is_forged(house: House, passkeys: Passkeys, person: Made) -> None:
    made = await register(house, passkeys, person, make_device())
    with pytest.raises(ForgedPasskey):
        await passkeys.read_use(BINDING, make_device(credential_id=made.credential_id).use(passkeys.ask(BINDING)))


async def test_an_unknown_passkey_and_a_kind_of_another_ceremony_are_refused(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING)))
    await register(house, passkeys, person, device)
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING), type="webauthn.create"))
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, device.use(await passkeys.ask_for_new(BINDING, person.person_id, "*明")))


async def test_a_challenge_is_good_for_its_flow_once_and_for_an_hour(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    options = passkeys.ask(BINDING)
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use("flow-2", device.use(options))
    await passkeys.note_use(await passkeys.read_use(BINDING, device.use(options)))
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, device.use(options))
    late = passkeys.ask(BINDING)
    house.clock.advance(CHALLENGE_LIFE.total_seconds())
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, device.use(late))


async def test_a_wrong_answer_uses_the_challenge_up(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    options = passkeys.ask(BINDING)
    with pytest.raises(ForgedPasskey):
        await passkeys.read_use(BINDING, device.use(options, _shorten("signature")))
    with pytest.raises(PasskeyRefused) as refused:
        await passkeys.read_use(BINDING, device.use(options))
    assert not isinstance(refused.value, ForgedPasskey)


@pytest.mark.parametrize("made_up", [b"", b"x" * 16, b"x" * 48, b"x" * 100])
async def test_a_challenge_that_we_did_not_make_is_refused(house: House, passkeys: Passkeys, person: Made, made_up: bytes) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, device.use(json.dumps({"challenge": encode_base64url(made_up)})))


async def test_an_emptied_store_makes_no_challenge_good_again(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    options = passkeys.ask(BINDING)
    house.clock.advance(1)
    await house.database.write("DELETE FROM transients")
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, device.use(options))


async def test_a_counter_that_stands_still_is_a_copy(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    await passkeys.note_use(await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING))))
    device.step = 0
    with pytest.raises(CopiedPasskey):
        await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING)))


async def test_of_two_answers_with_one_counter_one_counts(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    first = await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING)))
    device.counter = 0
    second = await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING)))
    await passkeys.note_use(first)
    with pytest.raises(CopiedPasskey):
        await passkeys.note_use(second)


async def test_an_authenticator_that_does_not_count_says_nothing_for_ever(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device(step=0)
    await register(house, passkeys, person, device)
    for _ in range(3):
        await passkeys.note_use(await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING))))


async def test_nobody_has_more_than_ten_and_nobody_the_same(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    await register(house, passkeys, person, device)
    other = await house.add_person()
    with pytest.raises(PasskeyRefused):
        await register(house, passkeys, other, device)
    for _ in range(MOST - 1):
        await register(house, passkeys, person, make_device())
    with pytest.raises(PasskeysFull):
        await register(house, passkeys, person, make_device())


async def test_a_removed_passkey_is_unknown(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    made = await register(house, passkeys, person, device)
    used = await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING)))
    async with house.database.transaction() as tx:
        assert await passkeys.keep(tx, person.person_id, made.id)
        assert await passkeys.remove(tx, person.person_id, made.id) == 0
        assert await passkeys.remove(tx, person.person_id, made.id) is None
        assert not await passkeys.keep(tx, person.person_id, made.id)
    with pytest.raises(CopiedPasskey):
        await passkeys.note_use(used)
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, device.use(passkeys.ask(BINDING)))


async def test_a_name_is_kept_sealed(house: House, passkeys: Passkeys, person: Made) -> None:
    device = make_device()
    options = await passkeys.ask_for_new(BINDING, person.person_id, "*明")
    made = await passkeys.read_new(BINDING, person.person_id, device.make(options))
    named = Passkey(**{**vars(made), "name": "测试人的手机"})
    async with house.database.transaction() as tx:
        await passkeys.add(tx, named)
    assert [one.name for one in await passkeys.list(person.person_id)] == ["测试人的手机"]
    (row,) = await house.database.fetch("SELECT sealed_name FROM passkeys WHERE id = $1", made.id)
    assert "测试人".encode() not in row["sealed_name"]
    await house.database.write("UPDATE passkeys SET sealed_name = '\\x00' WHERE id = $1", made.id)
    assert [one.name for one in await passkeys.list(person.person_id)] == [""]


async def test_an_issuer_without_a_name_has_no_passkeys(house: House, passkeys: Passkeys, person: Made) -> None:
    assert house.passkeys.ask(BINDING) == await house.passkeys.ask_for_new(BINDING, person.person_id, "*明") == ""
    assert not house.passkeys.is_offered
    assert passkeys.is_offered
    with pytest.raises(PasskeyRefused):
        await house.passkeys.read_use(BINDING, make_device().use(passkeys.ask(BINDING)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "rawId", "type", "response"]), inner, max_size=4),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.one_of(st.text(max_size=60), json_values.map(json.dumps)), st.booleans())
async def test_whatever_a_browser_posts_is_refused_and_nothing_else(passkeys: Passkeys, person: Made, text: str, making: bool) -> None:
    with pytest.raises(PasskeyRefused):
        await (passkeys.read_new(BINDING, person.person_id, text) if making else passkeys.read_use(BINDING, text))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.data())
async def test_whatever_is_altered_in_a_right_answer_is_refused(passkeys: Passkeys, person: Made, data: st.DataObject) -> None:
    device = make_device()
    options = await passkeys.ask_for_new(BINDING, person.person_id, "*明")
    answer = json.loads(device.make(options))
    field = data.draw(st.sampled_from(["attestationObject", "clientDataJSON"]))
    raw = bytearray(decode_base64url(answer["response"][field]))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw = raw[:at] if data.draw(st.booleans()) else raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]
    answer["response"][field] = encode_base64url(bytes(raw))
    try:
        made = await passkeys.read_new(BINDING, person.person_id, json.dumps(answer))
    except PasskeyRefused:
        return
    # Without an attestation nobody signed these: the key, its name, the counter and the maker are what the browser says.
    assert made.person_id == person.person_id


async def test_an_answer_is_bounded(passkeys: Passkeys, person: Made) -> None:
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, json.dumps({"id": "x" * 20_000}))
    with pytest.raises(PasskeyRefused):
        await passkeys.read_use(BINDING, "[" * 5_000)
