"""The command lines that stand in a page, and somebody who types them from its top to its end."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.cli.commands import Done, forum, process

__all__ = ["ROOT", "Typist", "inline_of", "lines_of"]

ROOT: Final = Path(__file__).parents[2]
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
PROGRAMS: Final = r"(?:forum-mcp|uvx|python3?|curl)"


def lines_of(page: Path) -> list[str]:
    """Return the command lines of a page's code blocks, without prompts and remarks; transcripts are ``text``."""
    text = page.read_text(encoding="utf-8")
    blocks: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    typed = [block for language, block in blocks if language in ("", "sh", "console")]
    lines = [re.split(r"\s+#\s", line)[0].removeprefix("$ ").strip() for block in typed for line in block.splitlines()]
    return [line for line in lines if re.match(rf"{PROGRAMS}\b(?! -m venv)", line)]


def inline_of(page: Path) -> list[str]:
    """Return the command lines that stand within a page's sentences."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]
    return [span for span in spans if re.match(rf"{PROGRAMS} \S", span)]


class Typist:
    """Somebody in a directory of their own, with a page in front of them."""

    def __init__(self, page: str, directory: Path) -> None:
        self._lines = lines_of(ROOT / page)
        self._directory = directory

    def types(self, begins: str, *, code: int = 0, alone: bool = False, mine: Mapping[str, str] = NOTHING) -> Done:
        """Type the next line, which must begin so, and return its end.

        Args:
            begins: how the line begins.
            code: the exit code it must have.
            alone: run it as a process of its own.
            mine: an example of the page -> what stands here in its place.
        """
        assert self._lines, f"the page has no further line: {begins}"
        line = self._lines.pop(0)
        assert line.startswith(begins), f"the page goes on with: {line}"
        for example, ours in mine.items():
            assert example in line, f"{example} is not in: {line}"
            line = line.replace(example, ours)
        command, _, target = line.partition(" > ")
        words = shlex.split(command)[1:]
        done = (process if alone else forum)(*words, cwd=self._directory)
        assert done.code == code, f"{line}: {done}"
        if target:
            (self._directory / target).write_bytes(done.raw)
        return done

    def skips(self, line: str) -> None:
        """Pass over the next line, which another test types."""
        assert self._lines.pop(0) == line

    def is_through(self) -> bool:
        """Tell whether the last line was typed."""
        assert self._lines == []
        return True
