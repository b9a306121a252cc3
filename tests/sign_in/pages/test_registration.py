"""A person registers on the way to a department: every step, every page's errors, nothing lost on any way through them."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.provider import REDIRECT_URI, SESSION, Provider
from tests.support.registering import Registering

_NUMBERS = iter(range(100, 9_000))


@pytest.fixture
def numbers() -> Iterator[int]:
    """Numbers of people whom no other test of this module uses."""
    return _NUMBERS


async def test_a_person_registers_and_arrives_signed_in_at_the_department(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    assert "部门registering（样例）" in web.text, "the page says where one is going"
    page = await web.walk()
    assert web.left_to is not None, page.text
    assert web.left_to.startswith(REDIRECT_URI)
    assert "code" in parse_qs(urlsplit(web.left_to).query)
    assert "账号已经开通" in page.text
    assert web.client.cookies.get(SESSION)
