"""After a rotation: each client that shows its secret brings its mac under the new key, and then the old key goes."""

from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import OctKey

from idp.platform.data_key_rotation import DataKeyRefused
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from tests.support.foreign import encode_part, sign_claims
from tests.support.provider import ISSUER, Provider

CREDENTIALS = {"grant_types": frozenset({"client_credentials"}), "redirect_uris": ()}
FORM = {"grant_type": "client_credentials"}


async def read_key(provider: Provider, client_id: str) -> tuple[str, int]:
    """Return which key the mac of a client's secret is under, and the client's version."""
    (row,) = await provider.services.platform.database.fetch("SELECT secret_mac, version FROM clients WHERE client_id = $1", client_id)
    return bytes(row["secret_mac"]).partition(b":")[0].decode(), row["version"]


async def rotate(provider: Provider) -> str:
    """Switch to a new key; return its id."""
    platform = provider.services.platform
    (key,) = await platform.data_key_rotation.rotate("client_secrets", "test")
    provider.clock.advance((key.current_from - provider.clock()) / timedelta(seconds=1))
    await platform.current_data_keys.reload()
    return key.id


async def test_the_mac_of_a_secret_moves_when_the_client_shows_it(provider: Provider) -> None:
    await provider.add_client("shows", **CREDENTIALS)
    old, version = await read_key(provider, "shows")
    new = await rotate(provider)
    for secret, key in (("wrong" * 10, old), (None, new), (None, new)):
        answer = await provider.post("/token", FORM, "shows", secret)
        assert answer.status_code == (401 if secret else 200), answer.text
        assert await read_key(provider, "shows") == (key, version)
    known = await provider.services.directory.find("shows")
    assert known is not None
    assert (known.secret_mac or b"").startswith(new.encode()), "what was remembered of it is read again"
    provider.clock.advance(60)
    assert (await provider.post("/token", FORM, "shows")).status_code == 200, "it is the same secret"


async def test_so_does_that_of_a_secret_that_only_signs(provider: Provider) -> None:
    await provider.add_client("signs", **CREDENTIALS, auth_method=AuthMethod.SECRET_JWT, keeps_secret=True)
    key: Any = OctKey.import_key({"kty": "oct", "k": encode_part(provider.secrets["signs"].encode())})
    new = await rotate(provider)
    now = int(provider.clock().timestamp())
    claims = {"iss": "signs", "sub": "signs", "aud": ISSUER, "jti": "once", "iat": now, "exp": now + 60}
    form = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(key, claims, "HS256")}
    answer = await provider.post("/token", form)
    assert answer.status_code == 200, answer.text
    assert (await read_key(provider, "signs"))[0] == new


async def test_the_secret_before_moves_nothing(provider: Provider) -> None:
    await provider.add_client("turns", **CREDENTIALS)
    before, services = provider.secrets["turns"], provider.services
    async with services.platform.database.transaction() as tx:
        client = await services.clients.read(tx, "turns")
        assert client is not None
        provider.secrets["turns"] = await services.clients.rotate_secret(tx, client, timedelta(days=1), actor="test")
    services.directory.forget_all()
    old, _ = await read_key(provider, "turns")
    await rotate(provider)
    assert (await provider.post("/token", FORM, "turns", before)).status_code == 200
    assert (await read_key(provider, "turns"))[0] == old, "the mac that is kept is not of this secret"
    assert (await provider.post("/token", FORM, "turns")).status_code == 200
    assert (await read_key(provider, "turns"))[0] != old


async def test_a_secret_that_was_changed_meanwhile_keeps_its_own_mac(provider: Provider) -> None:
    await provider.add_client("overtaken", **CREDENTIALS)
    services = provider.services
    async with services.platform.database.transaction() as tx:
        client = await services.clients.read(tx, "overtaken")
        assert client is not None
        provider.secrets["overtaken"] = await services.clients.rotate_secret(tx, client, timedelta(days=1), actor="test")
    statement = "SELECT secret_mac FROM clients WHERE client_id = 'overtaken'"
    changed = await services.platform.database.fetch(statement)
    await services.directory.keep_mac(client, b"other:mac")
    assert await services.platform.database.fetch(statement) == changed


async def test_the_old_key_goes_when_every_client_was_here(provider: Provider) -> None:
    await provider.add_client("last", **CREDENTIALS)
    old, _ = await read_key(provider, "last")
    await rotate(provider)
    provider.clock.advance(86_400 * 400)
    platform = provider.services.platform
    with pytest.raises(DataKeyRefused, match=r"clients\.secret_mac, until the client shows its secret"):
        await platform.data_key_rotation.retire(old, "test", platform.database)
    for client_id in ("shows", "turns", "overtaken", "last"):
        if (await read_key(provider, client_id))[0] == old:
            assert (await provider.post("/token", FORM, client_id)).status_code == 200
    await provider.execute("UPDATE clients SET previous_secret_mac = NULL, sealed_secret = NULL")
    await platform.data_key_rotation.retire(old, "test", platform.database)
