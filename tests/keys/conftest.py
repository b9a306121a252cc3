"""Keys that the tests of ``keys`` share, because an RSA key takes a tenth of a second to make."""

from datetime import UTC, datetime

import pytest

from keys import ALGORITHMS, KeyEncryptionKey, KeyState, SigningKey, generate_signing_key

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
def every_key(es256_key: SigningKey, rs256_key: SigningKey) -> dict[str, SigningKey]:
    """One active key of each algorithm."""
    others = [generate_signing_key(name, NOW, KeyState.ACTIVE) for name in ALGORITHMS[2:]]
    return {key.algorithm: key for key in (es256_key, rs256_key, *others)}


@pytest.fixture(scope="session")
def kek() -> KeyEncryptionKey:
    return KeyEncryptionKey(bytes(range(32)))
