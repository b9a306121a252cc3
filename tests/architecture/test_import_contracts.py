"""The source tree keeps its import contracts, and each contract reports the violation written for it."""

from pathlib import Path

import pytest

from tests.support.import_violations import (
    MORE_VIOLATIONS,
    VIOLATIONS,
    Violation,
    check_tree,
    copy_tree,
    find_report,
    read_contract_names,
    write_violation,
)


def test_tree_keeps_every_contract(tmp_path: Path) -> None:
    verdict = check_tree(copy_tree(tmp_path / "tree"))
    assert verdict.accepted, verdict.text
    assert not verdict.broken


@pytest.mark.parametrize("violation", VIOLATIONS + MORE_VIOLATIONS, ids=lambda v: f"{v.contract}:{v.package}")
def test_violation_is_reported(violation: Violation, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree")
    write_violation(tree, violation)
    verdict = check_tree(tree)
    assert not verdict.accepted
    assert read_contract_names()[violation.contract] in verdict.broken, verdict.text
    if violation.package != "idp.settings_reader":
        assert find_report(verdict, violation), verdict.text


def test_seven_violations_break_seven_contracts() -> None:
    assert len({violation.contract for violation in VIOLATIONS}) == len(VIOLATIONS) == 7


def test_every_contract_has_a_violation() -> None:
    assert {violation.contract for violation in VIOLATIONS + MORE_VIOLATIONS} == set(read_contract_names())
