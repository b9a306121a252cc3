"""Decides which forbidden imports the import contracts must report: one deliberate violation for each thing a contract forbids."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("idp", "federation", "sms", "keys")
PROBE = "deliberate_violation"


@dataclass(frozen=True)
class Violation:
    """One import that must not be: in a probe module of ``package``, the statement, and the id of the contract that forbids it."""

    contract: str
    package: str
    statement: str
    targets: tuple[str, ...] = field(default=())
    """Packages that get an empty module ``deliberate_target``, so that the statement has something to import."""

    @property
    def importer(self) -> str:
        """Return the dotted name of the probe module."""
        return f"{self.package}.{PROBE}"


VIOLATIONS = (
    Violation("whole", "idp.platform", "import idp.http"),
    Violation("features", "idp.people.services", "import idp.sign_in.services"),
    Violation("rooms", "idp.sign_in.stores", "import idp.sign_in.services"),
    Violation("rules", "idp.sign_in.rules", "import asyncpg"),
    Violation("kernel", "idp.kernel", "import msgspec"),
    Violation("packages", "keys", "import sms"),
    Violation("front-doors", "idp.protocol.services", "import keys.deliberate_target", ("keys",)),
)
"""The seven of the first issue: the order of the house, of features and of rooms; pure rules and kernel; the packages' borders."""

MORE_VIOLATIONS = (
    Violation("whole", "idp.settings_reader", "import idp.kernel"),
    Violation("whole", "idp.protocol.services", "import idp.demo"),
    Violation("rules", "idp.protocol.rules", "import idp.platform.database"),
    Violation("rules", "idp.people.rules", "import joserfc"),
    Violation("packages-idp", "federation", "import idp.kernel.ids"),
    Violation("pages", "idp.protocol.endpoints", "import idp.sign_in.pages"),
    Violation("settings", "idp.sign_in.services", "import idp.settings"),
    Violation("http", "idp.people.services", "import starlette.responses"),
    Violation("sql", "idp.protocol.endpoints", "import asyncpg"),
    Violation("migrations", "idp.platform", "import sqlalchemy"),
    Violation("jose", "idp.protocol.services", "import joserfc"),
)
"""The rest, so that every contract is seen to bite."""


@dataclass(frozen=True)
class Verdict:
    """What import-linter said of a tree: the names of the broken contracts, its whole text, and whether it accepted the tree."""

    broken: frozenset[str]
    text: str
    accepted: bool


def read_contract_names() -> dict[str, str]:
    """Return the contracts' names by id, from pyproject.toml."""
    configuration = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract["name"] for contract in configuration["tool"]["importlinter"]["contracts"]}


def copy_tree(destination: Path) -> Path:
    """Copy the source packages, the configuration and the contract types into a new directory and return it."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, destination / package, ignore=ignore)
    shutil.copy(CHECKOUT / "pyproject.toml", destination)
    (destination / "tests/support").mkdir(parents=True)
    shutil.copy(CHECKOUT / "tests/support/import_contracts.py", destination / "tests/support")
    return destination


def write_violation(tree: Path, violation: Violation) -> Path:
    """Write the probe module into a copy of the source tree and return its path."""
    for target in violation.targets:
        (tree / target / "deliberate_target.py").write_text("", encoding="utf-8")
    folder = tree / violation.package.replace(".", "/")
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    probe = folder / f"{PROBE}.py"
    probe.write_text(f'"""A deliberate violation."""\n\n{violation.statement}\n', encoding="utf-8")
    return probe


def check_tree(tree: Path) -> Verdict:
    """Run import-linter over a tree of its own and return what it said."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-logo", "--no-cache"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTHON"))}
    done = subprocess.run(
        command,
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"COLUMNS": "250", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)},
    )
    text = done.stdout + done.stderr
    return Verdict(frozenset(re.findall(r"^(.+?) BROKEN\b", text, re.MULTILINE)), text, done.returncode == 0)


def find_report(verdict: Verdict, violation: Violation) -> str | None:
    """Return the line in which import-linter names the probe, or None: a contract may be broken for another reason."""
    return next((line.strip(" -") for line in verdict.text.splitlines() if violation.importer in line), None)
