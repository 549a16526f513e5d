"""The tree itself: links, sizes, names, the public surface, and which room may import which."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import forum_mcp

PACKAGE: Final = Path(forum_mcp.__file__).parent
ROOT: Final = PACKAGE.parent
MODULES: Final = sorted(PACKAGE.rglob("*.py"))
IN_A_TREE: Final = (ROOT / "pyproject.toml").is_file() and (ROOT / "tests").is_dir()
LINE_LIMIT: Final = 400
README_LIMIT: Final = 150
NO_NAME_FOR_A_MODULE: Final = {"utils", "helpers", "common", "core", "manager", "data", "info"}
NOWHERE_BUT_HERE: Final = re.compile(
    r"/(?:root|work)/|/home/(?!(?:me|you|user|local)\b)\w+/|[/\\]Users[/\\]\w", re.IGNORECASE
)
PACKAGE_HOSTS: Final = re.compile(
    r"(?:https?|file)://[^\s\"'<>]*(?:pypi|pythonhosted|/simple\b|artifactory|nexus|devpi|jfrog)", re.IGNORECASE
)

in_a_tree = pytest.mark.skipif(not IN_A_TREE, reason="an installed package has no tree around it")


def ours() -> Iterator[Path]:
    """Yield every text file of ours that is committed (or would be); vectors are other people's words."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=False
    )
    names = listed.stdout.splitlines() or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
    for name in names:
        path = ROOT / name
        outside = name.startswith(("tests/vectors/", ".venv/", ".git/", "dist/")) or name in ("LICENSE", "uv.lock")
        if not outside and path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
            yield path


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@in_a_tree
@pytest.mark.parametrize("name", ["tools", "resources", "configs"])
def test_what_a_client_sees_stands_at_the_top_as_a_relative_link(name: str) -> None:
    link = ROOT / name
    if not link.exists() and not (ROOT / ".git").exists():
        pytest.skip("an sdist leaves the links out")
    if link.is_symlink():
        target = link.readlink()
        assert not target.is_absolute()
        assert link.resolve() == (PACKAGE / name).resolve()
    else:
        assert link.read_text(encoding="utf-8").strip() == f"forum_mcp/{name}", (
            "a checkout without links has text files"
        )


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_module_is_longer_than_a_reader_can_hold(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINE_LIMIT


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {path.stem for path in MODULES} | {path.parent.name for path in MODULES}
    assert not named & NO_NAME_FOR_A_MODULE


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def public_names(tree: ast.Module) -> set[str]:
    """Return the names a module defines at its top level without a leading underscore; type variables do not count."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return {name for name in found if not name.startswith("_") and len(name) > 1}


def commands(tree: ast.Module) -> set[str]:
    """Return the functions that only typer calls: decorated as a command, or handed to the application by name."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            found.add(node.name)
        elif isinstance(node, ast.Call):
            found |= {word.id for word in node.args if isinstance(word, ast.Name)}
    return found


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_all_equals_what_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = public_names(tree)
    if path.is_relative_to(PACKAGE / "cli"):
        public -= commands(tree)
    module = importlib.import_module(dotted(path))
    listed: list[str] = getattr(module, "__all__", [])
    assert len(listed) == len(set(listed))
    assert not [name for name in listed if not hasattr(module, name)], "listed and not there"
    assert not public - set(listed), "public and not listed"


@in_a_tree
def test_the_readme_fits_what_one_reads_at_once() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LIMIT


@in_a_tree
def test_no_file_names_a_package_host_or_a_place_on_one_machine() -> None:
    faults: list[str] = []
    for path in ours():
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if path != Path(__file__) and (PACKAGE_HOSTS.search(line) or NOWHERE_BUT_HERE.search(line)):
                faults.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not faults, "\n".join(faults)


@in_a_tree
def test_the_rooms_import_only_what_stands_below_them() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    if not lint.exists():
        pytest.skip("import-linter is in the group lint")
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
