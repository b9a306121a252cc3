"""What an operator types about people: the identifier from standard input, a reason that is a reference, the status table."""

import asyncio
from datetime import date

import pytest
from click.testing import CliRunner, Result

from idp.app import build_services
from idp.cli import main
from idp.composition import open_platform
from idp.kernel.clock import read_system_clock, read_system_random
from idp.people.rules.documents import find_check_character
from idp.people.rules.identifiers import parse_id_number
from idp.people.services.directory import NewPerson
from idp.settings import load_settings
from tests.commands.test_cli import Operator, assert_one_sentence
from tests.commands.test_cli import operator as operator

SEVENTEEN = "35010219900307118"
DOCUMENT = SEVENTEEN + find_check_character(SEVENTEEN)


def run(operator: Operator, *words: str, identifier: str = "") -> Result:
    """Run a command with something on its standard input."""
    return CliRunner().invoke(main, ["--settings", str(operator._settings), "people", *words], input=identifier, env={"IDP_SETTINGS": ""})


@pytest.fixture(scope="module")
def person(operator: Operator) -> str:
    """Add a synthetic person and return the document number."""

    async def work() -> None:
        settings = load_settings(operator._settings, {})
        platform = await open_platform(settings, read_system_clock, read_system_random, with_sources=False)
        try:
            document = parse_id_number(DOCUMENT, date(2026, 3, 2))
            await build_services(platform).people.add_person(NewPerson("测试一一八", document, None, 2))
        finally:
            await platform.close()

    asyncio.run(work())
    return DOCUMENT


def test_s21_a_death_is_reported_and_the_report_taken_back(operator: Operator, person: str) -> None:
    result = run(operator, "report-death", "--reason", "notice 2026-118", identifier=person + "\n")
    assert (result.exit_code, result.output) == (0, "status: deceased\n"), result.output
    result = run(operator, "report-death", "--reason", "notice 2026-118", identifier=person)
    assert_one_sentence(result, 1, "deceased", "cannot happen")
    result = run(operator, "correct-death", "--reason", "notice 2026-119", identifier=person)
    assert (result.exit_code, result.output) == (0, "status: frozen\n"), result.output
    assert_one_sentence(run(operator, "correct-death", "--reason", "notice 2026-119", identifier=person), 1, "frozen")


@pytest.mark.parametrize(
    ("words", "identifier", "code", "part"),
    [
        (("report-death", "--reason", "notice 2026-118"), "440106198811155674", 1, "No account"),
        (("report-death", "--reason", "notice 2026-118"), "", 2, "standard input"),
        (("report-death", "--reason", "王小明死了"), DOCUMENT, 2, "--reason"),
        (("report-death", "--reason", "x" * 65), DOCUMENT, 2, "--reason"),
    ],
)
def test_slips_of_the_operator_change_nothing(
    operator: Operator, person: str, words: tuple[str, ...], identifier: str, code: int, part: str
) -> None:
    result = run(operator, *words, identifier=identifier)
    assert_one_sentence(result, code, part)
    assert DOCUMENT not in result.output


def test_a_reason_is_compulsory(operator: Operator) -> None:
    assert run(operator, "report-death", identifier=DOCUMENT).exit_code == 2
