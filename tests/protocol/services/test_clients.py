"""Secrets of clients: macs, sealed only where the operator said so, two at once while they overlap, gone with the method."""

from dataclasses import replace
from datetime import timedelta

import pytest

from idp.protocol.rules.client import AuthMethod, BadRegistration, Client
from idp.protocol.rules.client_metadata import ClientKeys, TlsIdentity
from idp.protocol.services.clients import ClientMoved
from tests.support.provider import REDIRECT_URI, Provider


async def add(provider: Provider, client_id: str, auth_method: AuthMethod, **changes: object) -> str | None:
    client = Client(client_id, "样例", sector="s", redirect_uris=(REDIRECT_URI,), auth_method=auth_method, **changes)  # type: ignore[arg-type]
    async with provider.services.platform.database.transaction() as tx:
        return await provider.services.clients.add(tx, client, actor="test")


async def read(provider: Provider, client_id: str) -> Client:
    async with provider.services.platform.database.transaction() as tx:
        client = await provider.services.clients.read(tx, client_id)
    assert client is not None
    return client


async def test_only_a_method_with_a_secret_brings_one(provider: Provider) -> None:
    assert await add(provider, "public", AuthMethod.NONE) is None
    secret = await add(provider, "basic", AuthMethod.SECRET_BASIC)
    assert secret is not None
    client = await read(provider, "basic")
    assert client.sealed_secret is None
    assert provider.services.clients.list_secrets(client) == ()
    assert provider.services.clients.is_secret(client, secret)
    assert not provider.services.clients.is_secret(await read(provider, "public"), "")
    assert "mac" not in repr(client)


async def test_a_secret_that_signs_is_kept_sealed_and_overlaps(provider: Provider) -> None:
    clients, database = provider.services.clients, provider.services.platform.database
    first = await add(provider, "signing", AuthMethod.SECRET_JWT, keeps_secret=True)
    client = await read(provider, "signing")
    assert clients.list_secrets(client) == (first,)
    assert (first or "").encode() not in (client.sealed_secret or b"")
    async with database.transaction() as tx:
        second = await clients.rotate_secret(tx, client, timedelta(seconds=60), actor="test")
    client = await read(provider, "signing")
    assert clients.list_secrets(client) == (second, first)
    provider.clock.advance(60)
    assert clients.list_secrets(client) == (second,)
    moved = replace(client, client_id="basic")
    assert clients.list_secrets(moved) == (), "sealed for one client only"


async def test_a_method_without_a_secret_forgets_it(provider: Provider) -> None:
    clients, database = provider.services.clients, provider.services.platform.database
    await add(provider, "changing", AuthMethod.SECRET_BASIC)
    client = await read(provider, "changing")
    async with database.transaction() as tx:
        assert await clients.replace(tx, replace(client, auth_method=AuthMethod.NONE), actor="test") is None
    client = await read(provider, "changing")
    assert client.secret_mac is None
    async with database.transaction() as tx:
        sealed = replace(client, auth_method=AuthMethod.SECRET_JWT, keeps_secret=True)
        secret = await clients.replace(tx, sealed, actor="test")
    assert clients.list_secrets(await read(provider, "changing")) == (secret,)


async def test_two_changes_of_one_version_are_one(provider: Provider) -> None:
    clients, database = provider.services.clients, provider.services.platform.database
    await add(provider, "raced", AuthMethod.NONE)
    client = await read(provider, "raced")
    async with database.transaction() as tx:
        await clients.replace(tx, replace(client, isolated=True), actor="test")
    with pytest.raises(ClientMoved):
        async with database.transaction() as tx:
            await clients.replace(tx, replace(client, confirms_sign_on=True), actor="test")


async def test_a_secret_of_ones_own_is_long_and_an_id_is_given_once(provider: Provider) -> None:
    clients, database = provider.services.clients, provider.services.platform.database
    client = Client("own", "样例", sector="s", redirect_uris=(REDIRECT_URI,))
    with pytest.raises(BadRegistration, match="client_secret"):
        async with database.transaction() as tx:
            await clients.add(tx, client, actor="test", secret="short")
    async with database.transaction() as tx:
        assert await clients.add(tx, client, actor="test", secret="x" * 43) == "x" * 43
    with pytest.raises(BadRegistration, match="client_id"):
        async with database.transaction() as tx:
            await clients.add(tx, client, actor="test")


async def test_no_client_waits_for_certificates_that_no_proxy_tells(provider: Provider) -> None:
    for method in (AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS):
        tls = TlsIdentity(tls_client_auth_san_dns="hall.example") if method is AuthMethod.TLS else TlsIdentity()
        with pytest.raises(BadRegistration) as caught:
            await add(provider, "certified", method, tls=tls, keys=ClientKeys(jwks_uri="https://hall.example/keys"))
        assert (caught.value.field, caught.value.reason) == ("token_endpoint_auth_method", "this provider takes no certificates")
