"""The map in each large room's docstring: a module that stands in none, or no more, would be looked for in vain."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

import forum_mcp

PACKAGE: Final = Path(forum_mcp.__file__).parent
LINE: Final = re.compile(r"    \S.*?\s{2,}(.+)")


@pytest.mark.parametrize("room", ["cli", "configs", "engine", "executors", "ledger", "rules", "server", "stores"])
def test_the_map_of_a_room_names_each_of_its_modules_once(room: str) -> None:
    said = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8")), clean=False) or ""
    lines = map(LINE.fullmatch, said.partition("Where things are:")[2].splitlines())
    named = " ".join(match[1] for match in lines if match).split()
    here = {path.stem for path in (PACKAGE / room).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(named) == sorted(here - {"__init__"}), "say in the map of the room where the module belongs"
