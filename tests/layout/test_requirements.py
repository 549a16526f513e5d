"""What is imported is declared: nothing is there only because a dependency happens to bring it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final, cast

ROOT: Final = Path(__file__).parents[2]
OPTIONAL: Final = {"xllamacpp"}
"""Looked for by name, and done without."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, str]:
    """Return each package outside the standard library that the program imports -> a file that does."""
    found: dict[str, str] = {}
    for file in (ROOT / "forum_mcp").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
                names = [node.module]
            found |= {name.partition(".")[0]: file.name for name in names}
    return {name: file for name, file in found.items() if name not in {*sys.stdlib_module_names, "forum_mcp"}}


def test_every_package_that_is_imported_is_declared_and_every_declared_one_is_imported() -> None:
    project = cast("dict[str, object]", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])
    declared = {normal(re.split(r"[<>=\[~; ]", line)[0]) for line in cast("list[str]", project["dependencies"])}
    owners = packages_distributions()
    used: set[str] = set()
    for name, file in imported().items():
        if name in OPTIONAL:
            continue
        makers = {normal(each) for each in owners[name]}
        assert makers & declared, f"{file} imports {name} of {makers}, which pyproject.toml does not name"
        used |= makers
    assert declared - used == set(), "declared, and nothing imports it"
