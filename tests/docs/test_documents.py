"""What the documents promise: links that lead somewhere, commands that exist, examples that run."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final, cast

import pytest

from tests.cli.commands import forum

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README: Final = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").exists() else ""


def links_of(page: Path) -> list[str]:
    """Return where a page's links lead, without fragments."""
    return re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_of_the_tree(page: Path) -> None:
    for target in links_of(page):
        if not re.match(r"[a-z]+:", target):
            # A checkout without links, and an sdist, have no configs/ at the top.
            direct = re.sub(r"^((?:\.\./)*)(tools|resources|configs)/", r"\1forum_mcp/\2/", target)
            assert (page.parent / target).exists() or (page.parent / direct).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_that_a_page_names_by_its_room_exists(page: Path) -> None:
    rooms = "|".join(each.name for each in (ROOT / "forum_mcp").iterdir() if each.is_dir())
    for name in re.findall(rf"`((?:{rooms})/\w+\.py)`", page.read_text(encoding="utf-8")):
        assert (ROOT / "forum_mcp" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_into_a_page_names_one_of_its_headings(page: Path) -> None:
    for target, fragment in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / target if target else page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
        assert fragment in slugs, f"{target}#{fragment}"


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in links_of(index)}
    pages = {page for page in (ROOT / "docs").rglob("*.md") if "examples" not in page.parts}
    assert pages - {index} <= linked
    named = index.read_text(encoding="utf-8")
    assert [path.name for path in (ROOT / "docs" / "examples").glob("*.py") if f"`{path.name}`" not in named] == []


def test_the_security_page_names_the_tests_that_show_it() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for heading in ("## MCP security best practices", "## OWASP MCP Top 10"):
        rows = text.partition(heading)[2].partition("\n## ")[0].splitlines()[3:]
        assert len(rows) >= 6
        for row in filter(None, rows):
            named = re.findall(r"`(tests/[\w/]+\.py)`", row.rpartition(" | ")[2])
            assert named, row
            assert [name for name in named if not (ROOT / name).is_file()] == []


def commands_of(page: Path) -> list[str]:
    """Return the lines of a page's code blocks that run ``forum-mcp``."""
    blocks = re.findall(r"^```(?:\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"forum-mcp [a-z]", line)]


WITH_COMMANDS: Final = [page for page in PAGES if page.name != "cli.md" and commands_of(page)]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_every_command_of_a_page_is_one_the_program_knows(page: Path) -> None:
    for line in commands_of(page):
        words = shlex.split(line)[1:]
        path = [words[0]] if words[0] not in ("run", "ledger", "models", "gate", "config") else words[:2]
        help_text = forum(*path, "--help")
        assert help_text.code == 0, line
        for flag in (word for word in words if word.startswith("--")):
            assert flag in help_text.out, f"{flag} of: {line}"


def test_the_readmes_first_line_ends_with_an_answer_of_the_real_model_and_a_clean_ledger(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the real model is in the group local-model")
    (line,) = [
        line for line in README.splitlines() if "--local package:" in line and line.startswith("python3 -m venv")
    ]
    submit, verify = (shlex.split(part)[1:] for part in line.split(" && ")[-2:])
    done = forum(*submit, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "3 of 3 tasks succeeded" in done.err
    assert done.out.strip()
    verified = forum(*verify, cwd=tmp_path)
    assert verified.code == 0
    assert verified.out.startswith("clean: ")


def test_the_readmes_second_line_runs_the_tests_of_this_tree() -> None:
    (line,) = [line for line in README.splitlines() if "-m pytest -q" in line and line.startswith("python3 -m venv")]
    groups = cast("dict[str, list[object]]", tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"])
    assert "--group local-model" in line
    assert "local-model" in groups
    assert {"include-group": "test"} in groups["dev"], "uv installs the group dev unasked"


def test_the_readme_gives_every_dependency_its_reason() -> None:
    project = cast("dict[str, object]", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])
    extras = cast("dict[str, list[str]]", project["optional-dependencies"])
    for requirement in [
        *cast("list[str]", project["dependencies"]),
        *(row for rows in extras.values() for row in rows),
    ]:
        name = re.split(r"[<>=\[~ ]", requirement)[0]
        assert re.search(rf"^\| .*`{name}`.*\|", README, re.MULTILINE), name


@pytest.mark.parametrize("example", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=name_of)
def test_every_example_runs_and_verifies_its_ledger(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "clean" in done.stdout
    assert list(tmp_path.iterdir()) == []
