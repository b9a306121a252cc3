"""The pictures in docs/diagrams are the state tables of the code, all of them and nothing else."""

from pathlib import Path

from idp.people.rules.person import PERSON_TRANSITIONS
from keys import KEY_TRANSITIONS
from tests.support.diagrams import FOLDER, find_stale, find_tables, list_diagrams


def test_committed_diagrams_are_the_tables() -> None:
    assert find_stale() == [], "run scripts/diagrams"


def test_every_table_is_found() -> None:
    assert PERSON_TRANSITIONS in [table for _, _, table in find_tables()]


def test_every_row_is_drawn() -> None:
    drawn = {diagram.source: diagram.mermaid for diagram in list_diagrams()}
    for (before, event), after in KEY_TRANSITIONS.items():
        assert f"    {before.value} --> {after.value}: {event.value}" in drawn["keys.KEY_TRANSITIONS"].splitlines()
    accounts = drawn["idp.people.rules.person.PERSON_TRANSITIONS"].splitlines()
    assert len(accounts) == 1 + len(PERSON_TRANSITIONS.rows)


def test_changed_missing_and_left_over_files_are_stale(tmp_path: Path) -> None:
    names = sorted(path.name for path in FOLDER.glob("*.md"))
    for name in names[1:]:
        (tmp_path / name).write_text((FOLDER / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "gone-states.md").write_text("# Gone\n", encoding="utf-8")
    changed = tmp_path / names[1]
    changed.write_text(changed.read_text(encoding="utf-8").replace("-->", "==>", 1), encoding="utf-8")
    assert find_stale(tmp_path) == sorted([names[0], names[1], "gone-states.md"])
