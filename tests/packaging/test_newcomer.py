"""The first ten minutes of a stranger: the wheel, an empty home, a bare PATH, and what the README says.

The transcript is ``docs/tutorial/first-ten-minutes.md``; UPDATE_SNAPSHOTS=1 writes it anew. What differs from run to
run (ids, digests, times, figures) is written as ``#``.
"""

import json
import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from forum_mcp.cli.clients.table import CLIENTS

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "tutorial" / "first-ten-minutes.md"
README: Final = ROOT / "README.md"
REQUEST: Final = "1. write the readme docs 2. build the css for the page"
HEAD: Final = """# The first ten minutes

What a newcomer types and sees, from the first command to taking everything back. A test made this page and runs every
line again (`UPDATE_SNAPSHOTS=1 python -m pytest tests/packaging`): the wheel in an environment of its own, an empty
home, only the system on PATH. `#` stands for what differs from one time to the next.
"""

FOOT: Final = """
Next: [a verified answer in five minutes](verified-answer.md), or [what the demo shows](the-demo.md).
"""

_PART: Final = "\x00"


class Newcomer:
    """Somebody with an empty home, who types commands and reads what comes."""

    def __init__(self, place: Path, wheel: Path) -> None:
        self.home = place / "home"
        self.project = self.home / "project"
        self.project.mkdir(parents=True)
        self.bin = place / "env" / "bin"
        self.lines: list[str] = []
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "env")], check=True, timeout=120)
        packages = next((place / "env" / "lib").glob("python*/site-packages"))
        # The dependencies are those of this run, without the model of the tests; the package itself is the wheel's.
        (packages / "dependencies.pth").write_text(str(_dependencies(place / "dependencies")))
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        assert uv is not None, "the wheel was built with it"
        install = [uv, "pip", "install", "--quiet", "--no-deps", "--offline", "--python", str(self.bin / "python")]
        subprocess.run([*install, str(wheel)], check=True, timeout=120)

    def types(self, line: str, *arguments: str, shown: int = 100) -> str:
        """Type a command; return what it prints, and note the first lines of it for the transcript."""
        done = subprocess.run(
            [str(self.bin / "forum-mcp"), *line.split()[1:], *arguments],
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8"},
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        typed = " ".join([line, *(f'"{word}"' if " " in word else word for word in arguments)])
        said = (done.stdout + done.stderr).rstrip().splitlines()
        self.lines += [f"$ {typed}", *said[:shown], *(["..."] if len(said) > shown else []), ""]
        return done.stdout

    def aside(self, *words: str) -> str:
        """Run a command that is no part of the transcript; return what it prints."""
        kept = list(self.lines)
        said = self.types(" ".join(("forum-mcp", *words)))
        self.lines = kept
        return said

    def says(self, words: str) -> None:
        """Begin a part of the transcript."""
        self.lines += [f"{_PART}{words}", ""]

    def page(self) -> str:
        """Return the transcript, without what differs from run to run."""
        parts: list[str] = []
        for line in self.lines:
            if line.startswith(_PART):
                parts += [*(["```", ""] if parts else []), f"## {line.removeprefix(_PART)}", "", "```text"]
            elif not re.search(r"^\s+-> .*uv tool install|to look at$|everything works$", line):
                parts.append(self._settled(line))
        text = "\n".join([*parts, "```\n"])
        return HEAD + "\n" + re.sub(r"\n+```\n", "\n```\n", text).replace("```text\n\n", "```text\n") + FOOT

    def _settled(self, line: str) -> str:
        if line.startswith("$ "):
            return line.replace(" --seconds 200", "")
        line = line.replace(str(self.bin), "~/env/bin").replace(str(self.home), "~")
        if found := re.match(r"(?:ok  |warn)  (interpreter|versions|server|disk|clock)\b", line):
            return f"ok    {found[1].ljust(21)}  #"
        if line.startswith("ok    protocol"):
            return re.sub(r"\d+ tools", "# tools", line)
        return re.sub(r"\b(?:[0-9a-f]{32,64}|\d+(?:\.\d+)*)\b", "#", line)


def _dependencies(place: Path) -> Path:
    """Make a directory of links to the packages of this environment that the wheel needs."""
    place.mkdir()
    for packages in site.getsitepackages():
        for entry in Path(packages).iterdir():
            if not re.match(r"(?i)llm.smollm2|xllamacpp|forum.mcp|_?_?editable|.*\.pth$", entry.name):
                (place / entry.name).symlink_to(entry)
    return place


@pytest.fixture(scope="module")
def newcomer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    return Newcomer(tmp_path_factory.mktemp("newcomer"), wheel)


def test_every_step_works_with_what_the_readme_says(newcomer: Newcomer) -> None:
    readme = README.read_text(encoding="utf-8")
    newcomer.says("Is it there?")
    newcomer.types("forum-mcp --version")
    newcomer.says("Find models, write a configuration")
    newcomer.types("forum-mcp init")
    newcomer.says("Tell the clients")
    for client in CLIENTS:
        assert client.name in readme, client.name
        newcomer.types(f"forum-mcp install {client.name}")
    newcomer.says("Does everything work?")
    assert " fail " not in newcomer.types("forum-mcp doctor --seconds 200")
    told = json.loads(newcomer.aside("doctor", "--json", "--seconds", "200"))
    assert told["failed"] == 0
    assert {line["area"] for line in told["lines"] if line["status"] == "warn"} <= {"server"}, "a busy machine is slow"
    newcomer.says("A run, with a program as its model")
    newcomer.types("forum-mcp submit --roles rules --quiet --cmd", "echo done", REQUEST)
    newcomer.says("Is the record whole?")
    assert newcomer.types("forum-mcp ledger verify --level 4", shown=2).startswith("clean: ")
    newcomer.says("And back again")
    for client in CLIENTS:
        newcomer.types(f"forum-mcp uninstall {client.name}")
    for command in ("init", "install", "uninstall", "doctor", "route", "submit", "ledger verify", "demo"):
        assert command in readme, f"{command} needs no knowledge outside the README"
    left = [path for path in newcomer.home.rglob("*") if path.is_file()]
    assert {path.name for path in left if path.suffix in (".json", ".toml")} == {"config.toml"}, left


def test_the_demo_comes_out_as_told(newcomer: Newcomer) -> None:
    assert newcomer.aside("demo").rstrip().endswith("Everything came out as told.")


def test_the_transcript_is_what_a_newcomer_sees(newcomer: Newcomer) -> None:
    made = newcomer.page()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "run: UPDATE_SNAPSHOTS=1 python -m pytest tests/packaging"
