"""What an operator types to bar somebody from one application: identifier from standard input, a case number, words for the message."""

import pytest

from tests.commands.test_cli import Operator, assert_one_sentence
from tests.commands.test_cli import operator as operator
from tests.commands.test_people import DOCUMENT, run
from tests.commands.test_people import person as person

CASE = ("--reference", "case 2026-17")
WORDS = ("--words", "违反政务服务诚信管理规定")


@pytest.fixture(scope="module")
def client(operator: Operator) -> str:
    """Add a client and return its id."""
    words = ["clients", "add", "barring", "--name", "部门（样例）", "--sector", "样例", "--redirect-uri", "https://one.example/callback"]
    result = operator.type(*words)
    assert result.exit_code == 0, result.output
    return "barring"


def test_s10_a_person_is_barred_from_one_application_and_let_in_again(operator: Operator, person: str, client: str) -> None:
    result = run(operator, "ban", "--client", client, *CASE, *WORDS, identifier=person + "\n")
    assert (result.exit_code, result.output) == (0, "banned, grants ended: 0\n"), result.output
    assert_one_sentence(run(operator, "ban", "--client", client, *CASE, *WORDS, identifier=person), 1, "already")
    result = run(operator, "unban", "--client", client, *CASE, identifier=person)
    assert (result.exit_code, result.output) == (0, "unbanned\n"), result.output
    assert_one_sentence(run(operator, "unban", "--client", client, *CASE, identifier=person), 1, "not barred")


@pytest.mark.parametrize(
    ("words", "identifier", "code", "part"),
    [
        (("ban", "--client", "barring", *CASE, *WORDS), "440106198811155674", 1, "No account"),
        (("ban", "--client", "nobodys", *CASE, *WORDS), DOCUMENT, 1, "no client"),
        (("ban", "--client", "barring", *CASE, *WORDS), "", 2, "standard input"),
        (("ban", "--client", "barring", "--reference", "王小明", *WORDS), DOCUMENT, 2, "--reference"),
        (("ban", "--client", "barring", *CASE, "--words", "字" * 41), DOCUMENT, 2, "--words"),
        (("ban", "--client", "barring", *CASE, "--words", "见https://example.org"), DOCUMENT, 2, "--words"),
        (("unban", "--client", "nobodys", *CASE), DOCUMENT, 1, "no client"),
    ],
)
def test_slips_of_the_operator_change_nothing(
    operator: Operator, person: str, client: str, words: tuple[str, ...], identifier: str, code: int, part: str
) -> None:
    result = run(operator, *words, identifier=identifier)
    assert_one_sentence(result, code, part)
    assert DOCUMENT not in result.output
