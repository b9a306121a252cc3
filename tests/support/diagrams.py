"""Decides how the state tables of the code become pictures: every table that a rule holds, one file each, and nothing drawn by hand."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import idp
from idp.kernel.transitions import Transitions
from idp.people.rules.registration import draw_steps
from keys import draw_key_states

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "diagrams"

TITLES = {
    "PERSON_TRANSITIONS": ("account-states", "Account states"),
    "CLIENT_TRANSITIONS": ("client-states", "Client states"),
}
"""Name of the table → file and title; a table without a row here takes its own name."""


@dataclass(frozen=True)
class Diagram:
    """One file: where the table stands in the code, and the Mermaid text that was drawn from it."""

    file: str
    title: str
    source: str
    mermaid: str

    def write(self) -> str:
        """Return the text of the file."""
        return (
            f"<!-- Written by scripts/diagrams from `{self.source}`; change the table, not this file. -->\n"
            f"# {self.title}\n\n"
            f"Drawn from `{self.source}`.\n\n"
            f"```mermaid\n{self.mermaid}\n```\n"
        )


def find_tables() -> Iterator[tuple[str, str, Transitions]]:
    """Yield (module, name, table) of every ``Transitions`` that a room called ``rules`` defines."""
    for found in pkgutil.walk_packages(idp.__path__, "idp."):
        if ".rules." not in found.name:
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, Transitions):
                yield found.name, name, value


def list_diagrams() -> list[Diagram]:
    """Return every diagram, by file name."""
    diagrams = [
        Diagram("signing-key-states", "Signing key states", "keys.KEY_TRANSITIONS", draw_key_states()),
        Diagram("registration-steps", "Steps of a registration", "idp.people.rules.registration.STEPS", draw_steps()),
    ]
    for module, name, table in find_tables():
        file, title = TITLES.get(name, (name.lower().replace("_", "-"), name.replace("_", " ").capitalize()))
        diagrams.append(Diagram(file, title, f"{module}.{name}", table.draw()))
    return sorted(diagrams, key=lambda diagram: diagram.file)


def find_stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of files that are missing, differ from their table, or have no table any more."""
    wanted = {f"{diagram.file}.md": diagram.write() for diagram in list_diagrams()}
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="scripts/diagrams", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    stale = find_stale()
    if not parser.parse_args().check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (FOLDER / name).unlink(missing_ok=True)
        for diagram in list_diagrams():
            (FOLDER / f"{diagram.file}.md").write_text(diagram.write(), encoding="utf-8")
        sys.stdout.write(f"diagrams: {len(stale)} written\n" if stale else "diagrams: nothing to write\n")
        return 0
    for name in stale:
        sys.stderr.write(f"diagrams: docs/diagrams/{name} is not what its table says; run scripts/diagrams\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
