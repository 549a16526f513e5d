"""The demo: a real run, killed and resumed, told from its record, and tampering that is found."""

import os
import re
from pathlib import Path
from typing import Final

import pytest

from forum_mcp.cli.stage import open_forum, read_play
from forum_mcp.cli.tampering import copy_of, edit_entry, rewrite_from
from forum_mcp.engine.verifying import verify_path
from tests.cli.commands import process

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "tutorial" / "the-demo.md"
README: Final = ROOT / "README.md"
LAST: Final = re.compile(r"^  f\. everything.*?(?=^\S|^$|^```|\Z)", re.MULTILINE | re.DOTALL)
"""The last of the six tamperings, which the README shows."""
HEAD: Final = """\
# What the demo shows

`forum-mcp demo` needs no model, no key and no network, takes a few seconds and leaves nothing behind. The engine, the
processes, the ledger and the verification are real; only the models' replies are scripted. This is what it printed; a
test runs it again (`UPDATE_SNAPSHOTS=1 python -m pytest tests/cli/test_demo.py` writes it anew).

A line of the record has the entry's number, the run's active time, its kind, and what it says.

"""
FOOT: Final = """
Next: [a verified answer in five minutes](verified-answer.md), with a program of yours as the model;
[what the record proves](../explanation/what-the-record-proves.md), and what it does not.
"""


def as_always(text: str) -> list[str]:
    """Return the lines without what differs from run to run (hashes, numbers), in any order: calls run in parallel.

    Two waves that settle in one transaction have one checkpoint, so a rewritten history may lack one or two of them.
    """
    hidden = re.sub(r"[0-9a-f]{16,64}|[A-Za-z0-9+/]{40,}={0,2}|\d+(?:\.\d+)?", "#", text)
    hidden = hidden.replace("# findings", "# finding")
    return sorted(" ".join(line.split()) for line in hidden.splitlines() if set(line.strip()) != {"-"})


@pytest.mark.promise("demo")
def test_the_demo_comes_out_as_told_and_as_its_page_shows() -> None:
    done = process("demo")
    assert done.code == 0, done.out + done.err
    assert done.out.rstrip().endswith("Everything came out as told.")
    assert "\x1b" not in done.out
    for words in (
        "summon a unicorn                                 undecided, goes to general",
        "task page to rung 1 because of verdict",
        "kill -9 ",
        "the run is interrupted after entry",
        "most calls at one time: 2",
        "run succeeded",
        "reaches its request: yes",
    ):
        assert words in done.out
    found = re.findall(r"^     ([a-z-]+) at (?:entry|ledger)", done.out, re.MULTILINE)
    assert found == ["body-mismatch", "body-missing", "prev", "seq", "checkpoint-root", "checkpoint-beyond-tail"]
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(f"{HEAD}```text\n{done.out.strip()}\n```\n{FOOT}", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    shown = page.partition("```text\n")[2].partition("```")[0]
    assert page == f"{HEAD}```text\n{shown}```\n{FOOT}"
    assert as_always(shown) == as_always(done.out.strip()), "run: UPDATE_SNAPSHOTS=1 python -m pytest tests/cli"


def test_the_readme_shows_the_end_of_that_page() -> None:
    (told,) = LAST.findall(PAGE.read_text(encoding="utf-8"))
    lines = [line for line in told.splitlines(keepends=True) if "--level 2" not in line]
    if os.environ.get("UPDATE_SNAPSHOTS"):
        README.write_text(LAST.sub(lambda _: "".join(lines), README.read_text(encoding="utf-8")), encoding="utf-8")
    assert f"```text\n{''.join(lines)}```\n" in README.read_text(encoding="utf-8")


async def test_a_rewritten_history_is_whole_but_for_the_signature(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    play = read_play()
    plan = {"tasks": [{"id": "page", "lane": "frontend", "instruction": "Write css"}]}
    async with open_forum(ledger, play) as forum:
        run = await forum.submit(play.request, plan=plan, wait_s=30)
        judged = next(entry for entry in forum.ledger.show(run_id=run.run_id).entries if entry.kind == "task.judged")
    turned = (judged.seq, '"verdict":"passed"', '"verdict":"failed"')
    edited, rewritten = copy_of(ledger, "edited.db"), copy_of(ledger, "rewritten.db")
    edit_entry(edited, *turned)
    rewrite_from(rewritten, *turned)
    assert not verify_path(edited, level=1).clean
    assert verify_path(rewritten, level=2).clean
    assert {finding.code for finding in verify_path(rewritten, level=3).findings} == {"checkpoint-root"}
    assert "decision" in {finding.code for finding in verify_path(rewritten, level=4).findings}
    assert verify_path(ledger, level=4).clean
