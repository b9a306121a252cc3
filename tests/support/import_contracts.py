"""Decides what a room that may import almost nothing imports: an import-linter contract that lists the allowed, not the forbidden."""

import sys
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules


class OnlyContract(Contract):
    """Packages import themselves, the standard library and ``allowed`` packages, and nothing else.

    ``modules`` may hold wildcards and may match nothing, so that a room is held from the day it appears.
    """

    type_name = "only"

    modules = fields.SetField(subfield=fields.ModuleExpressionField())
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Return the check, with every import that leaves the allowed set in its metadata."""
        allowed: Any = self.allowed
        expressions: Any = self.modules
        found: set[tuple[str, str, int]] = set()
        for package in module_expressions_to_modules(graph, expressions):
            for module in {package.name} | graph.find_descendants(package.name):
                for imported in graph.find_modules_directly_imported_by(module):
                    inside = any(imported == name or imported.startswith(name + ".") for name in [package.name, *allowed])
                    if not inside and imported.partition(".")[0] not in sys.stdlib_module_names:
                        details = graph.get_import_details(importer=module, imported=imported)
                        found.add((module, imported, details[0]["line_number"] if details else 0))
        return ContractCheck(kept=not found, metadata={"found": sorted(found)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print every import that is not allowed, in the words the built-in contracts use."""
        for importer, imported, line in check.metadata["found"]:
            output.print_error(f"- {importer} -> {imported} (l.{line})", bold=False)
            output.new_line()
