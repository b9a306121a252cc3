"""Decides what is read out of docs/conformance.md: per profile the modules, the tests of ours for each, and the state claimed."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.documents import ROOT, read

DOCUMENT = ROOT / "docs" / "conformance.md"
TRANSLATION = ROOT / "docs" / "conformance.zh-CN.md"
BASE = "tests/protocol/"
TABLE = re.compile(
    r"^## (?P<profile>.+)\n\n<!-- conformance-[a-z0-9-]+:[^>]*-->\n\n\|[^\n]*\n\|[^\n]*\n(?P<rows>(?:\|[^\n]*\n)+)", re.MULTILINE
)
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@dataclass(frozen=True)
class Row:
    """One module and the tests that stand for it, each (file below ``tests/protocol/``, function)."""

    profile: str
    module: str
    tests: tuple[tuple[str, str], ...]
    state: str

    @property
    def ids(self) -> tuple[str, ...]:
        """The tests as pytest names them."""
        return tuple(f"{BASE}{file}::{name}" for file, name in self.tests)


def read_rows(path: Path = DOCUMENT) -> list[Row]:
    """Return the rows of every table, in order."""
    rows = []
    for table in TABLE.finditer(read(path)):
        for line in table["rows"].splitlines():
            module, tests, state = (cell.strip() for cell in line.strip().strip("|").split("|"))
            rows.append(Row(table["profile"], module.strip("`"), tuple(TEST.findall(tests)), state))
    return rows


def list_functions(file: str) -> set[str]:
    """Return the tests that a file below ``tests/protocol/`` holds, empty without such a file."""
    path = ROOT / BASE / file
    if not path.exists():
        return set()
    body = ast.parse(read(path)).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")}
