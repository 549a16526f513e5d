"""The tutorials, typed as they stand."""

import re
import shlex
from pathlib import Path
from typing import Final

from tests.cli.commands import Done, forum

TUTORIALS: Final = Path(__file__).parents[2] / "docs" / "tutorial"


def typed(page: str, directory: Path) -> list[tuple[str, Done]]:
    """Write the page's TOML to ``forum.toml``, run each line of its plain blocks, and return lines and ends."""
    text = (TUTORIALS / page).read_text(encoding="utf-8")
    blocks: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (config,) = [body for language, body in blocks if language == "toml"]
    (directory / "forum.toml").write_text(config)
    ends: list[tuple[str, Done]] = []
    for line in (line for language, body in blocks if not language for line in body.splitlines()):
        command, _, target = line.partition(" > ")
        done = forum(*shlex.split(command)[1:], cwd=directory)
        assert done.code == 0, f"{line}: {done}"
        if target:
            (directory / target).write_bytes(done.raw)
        ends.append((line, done))
    return ends


def test_a_verified_answer_is_had_by_typing_what_the_tutorial_says(tmp_path: Path) -> None:
    submit, checkpoint, verify, listed, trace, _, handed = [done for _, done in typed("verified-answer.md", tmp_path)]
    page = (TUTORIALS / "verified-answer.md").read_text(encoding="utf-8")
    told = [" ".join(line.split()) for line in submit.err.splitlines()]
    for line in page.partition("```text\n")[2].partition("```")[0].splitlines():
        seq, _, *words = line.split()
        assert any(each.startswith(f"{seq} ") and each.endswith(" ".join(words)) for each in told), line
    assert submit.out.strip() == "form { display: grid; gap: 1rem }"
    assert len(checkpoint.out.splitlines()) == 5  # four lines of text around an empty one
    assert verify.out.startswith("clean: ")
    assert "does not hold: content: integrity is not truth" in verify.out
    assert "succeeded" in listed.out
    assert trace.out.splitlines()[-1].endswith("run.started  a request came in (submit)")
    assert "judged passed" in trace.out.splitlines()[0]
    assert handed.out.startswith("clean: ")
