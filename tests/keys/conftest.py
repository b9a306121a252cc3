"""Keys that the tests of ``keys`` share, because an RSA key takes a tenth of a second to make."""

from datetime import UTC, datetime

import pytest

from keys import KeyEncryptionKey, KeyState, SigningKey, generate_signing_key

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def es256_key() -> SigningKey:
    return generate_signing_key("ES256", NOW, KeyState.ACTIVE)


@pytest.fixture(scope="session")
def rs256_key() -> SigningKey:
    return generate_signing_key("RS256", NOW, KeyState.ACTIVE)


@pytest.fixture(scope="session")
def kek() -> KeyEncryptionKey:
    return KeyEncryptionKey(bytes(range(32)))
