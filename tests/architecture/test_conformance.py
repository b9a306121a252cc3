"""The table of the conformance modules names tests that exist, says the same in both languages, and forgets none of ours."""

import pytest

from tests.support.conformance_table import BASE, TRANSLATION, Row, list_functions, read_rows
from tests.support.documents import ROOT

ROWS = read_rows()
PROFILES = (
    "Basic OP",
    "Config OP",
    "Dynamic OP",
    "Form Post OP",
    "RP-Initiated Logout OP",
    "Back-Channel Logout OP",
    "Front-Channel Logout OP",
    "Session Management OP",
    "Third-Party-Initiated Login OP",
    "FAPI 2.0 Security Profile",
    "FAPI 2.0 Message Signing",
    "FAPI-CIBA",
)


def test_every_profile_has_its_table() -> None:
    assert tuple(dict.fromkeys(row.profile for row in ROWS)) == PROFILES
    assert len(ROWS) > 100


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.profile} {row.module}")
def test_the_named_tests_exist(row: Row) -> None:
    missing = [f"{file}::{name}" for file, name in row.tests if name not in list_functions(file)]
    assert missing == []
    assert row.tests or not row.state.startswith("passed"), "what nothing tests has not passed"


def test_both_languages_say_the_same() -> None:
    translated = read_rows(TRANSLATION)
    assert [(row.profile, row.module, row.tests) for row in translated] == [(row.profile, row.module, row.tests) for row in ROWS]
    assert [row.state == "passed" for row in ROWS] == [row.state == "通过" for row in translated]


@pytest.mark.parametrize("file", sorted(path.name for path in (ROOT / BASE / "conformance").glob("test_*.py")))
def test_no_module_of_ours_is_left_out(file: str) -> None:
    named = {name for row in ROWS for _, name in row.tests}
    assert {name for name in list_functions(f"conformance/{file}") if name.startswith("test_oidcc")} <= named
