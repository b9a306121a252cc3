"""Data keys by command: rotated, watched, retired; the key that wraps them exchanged in two runs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.commands.test_cli import Operator, assert_one_sentence
from tests.commands.test_cli import operator as operator


def test_a_data_key_is_rotated_watched_and_not_retired_too_soon(operator: Operator) -> None:
    assert operator.type("keys", "list").exit_code == 0, "the first keys are made"
    rotated = operator.type("keys", "data", "rotate", "people", environ={"IDP_KEYS__SUITE": "national"})
    assert rotated.exit_code == 0, rotated.output
    assert rotated.output.startswith("pending: people-2  national  used from 2")
    assert_one_sentence(operator.type("keys", "data", "rotate", "people"), 1, "people-2", "waits")
    assert operator.type("keys", "data", "rotate", "cooking").exit_code == 2
    shown = operator.type("keys", "data", "status").output
    lines = [line.split() for line in shown.splitlines()]
    assert [line[1:3] for line in lines if line[0] == "people-1"] == [["international", "current"]]
    assert [line[1:3] for line in lines if line[0] == "people-2"] == [["national", "pending"]]
    assert shown.splitlines()[-1] == "re-encryption: nothing to do yet"
    assert_one_sentence(operator.type("keys", "data", "retire", "people-1"), 1, "people-1", "current")
    assert_one_sentence(operator.type("keys", "data", "retire", "nobody"), 1, "nobody")
    at_once = {"IDP_KEYS__PENDING_SECONDS": "1"}
    assert operator.type("keys", "data", "rotate", "drafts", environ=at_once).exit_code == 0
    ends = datetime.now(UTC) + timedelta(seconds=20)
    while (retired := operator.type("keys", "data", "retire", "drafts-1", environ=at_once)).exit_code and datetime.now(UTC) < ends:
        assert_one_sentence(retired, 1, "drafts-1")
    assert retired.output == "removed: drafts-1\n"
    assert operator.type("audit", "verify").exit_code in (0, 1)


def test_the_key_encryption_key_is_exchanged_in_two_runs(operator: Operator, tmp_path: Path) -> None:
    line = next(line for line in operator.type("settings", "check").output.splitlines() if line.startswith("keys.key_encryption_key_file"))
    new, old = tmp_path / "new", line.partition(" = ")[2].strip("'")
    assert operator.type("keys", "list").exit_code == 0, "the installation has keys, wrapped by the old one"
    made = operator.type("keys", "exchange-kek", "--new", str(new))
    assert made.output.startswith(f"made: {new}\n")
    assert new.stat().st_mode & 0o777 == 0o600
    kept = new.read_bytes()
    assert_one_sentence(operator.type("keys", "exchange-kek", "--new", str(new)), 2, "previous_key_encryption_key_file")
    assert_one_sentence(operator.type("keys", "list", environ={"IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": str(new)}), 1, "data key")
    both = {"IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": str(new), "IDP_KEYS__PREVIOUS_KEY_ENCRYPTION_KEY_FILE": old}
    assert operator.type("keys", "list", environ=both).exit_code == 0, "both are accepted before"
    wrapped = operator.type("keys", "exchange-kek", "--new", str(new), environ=both)
    assert wrapped.exit_code == 0, wrapped.output
    assert int(wrapped.output.splitlines()[0].removeprefix("wrapped anew: ")) >= 15
    assert operator.type("keys", "exchange-kek", "--new", str(new), environ=both).output.startswith("wrapped anew: 0\n")
    alone = {"IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": str(new)}
    assert operator.type("keys", "list", environ=alone).exit_code == 0
    assert_one_sentence(operator.type("keys", "list"), 1, "key-encryption key")
    assert new.read_bytes() == kept
    assert_one_sentence(operator.type("keys", "exchange-kek", "--new", "/proc/nowhere/kek"), 1, "cannot be written")
