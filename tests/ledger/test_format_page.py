"""The public page on the format says what the code does: its tables, its limits and its worked example."""

import re
from pathlib import Path

import msgspec
import pytest

from forum_mcp.ledger.canonical import DEPTH_MAX
from forum_mcp.ledger.entry import ENTRY_MAX_BYTES, PARENTS_MAX, Entry, LedgerId, genesis_prev, leaf_hash
from forum_mcp.ledger.export import ExportSource
from forum_mcp.ledger.finding import CODES
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.ledger.kinds.base import Kind
from forum_mcp.ledger.verify import verify
from tests.ledger.building import SIGNER

PAGE = (Path(__file__).parents[2] / "docs" / "ledger-format.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def row_of(kind: Kind) -> str:
    fields = msgspec.structs.fields(kind.payload)
    members = ", ".join(f"`{field.name}`" if field.required else f"`{field.name}`?" for field in fields)
    return f"| `{kind.name}` | {kind.role} | {members} | {', '.join(f'`{name}`' for name in kind.bodies) or '-'} |"


def test_the_page_lists_every_kind_with_its_members_and_bodies() -> None:
    assert section("Kinds").strip().splitlines()[-len(KINDS) :] == [row_of(kind) for kind in KINDS.values()]


def test_the_page_lists_every_finding_code_once() -> None:
    assert first_cells(section("Verification")) == list(CODES)


def test_the_page_lists_every_member_of_an_entry() -> None:
    assert first_cells(section("Entries")) == [field.name for field in msgspec.structs.fields(Entry)]


def test_the_page_states_the_limits_of_the_code() -> None:
    entries = section("Entries")
    for limit in (f"{ENTRY_MAX_BYTES:,} of them", f"at most {PARENTS_MAX} integers", f"at most {DEPTH_MAX} objects"):
        assert limit in entries


@pytest.mark.promise("one-hash")
def test_the_worked_example_verifies_and_its_hashes_are_right() -> None:
    example = section("A worked example")
    source = ExportSource(example.partition("```json\n")[2].partition("```")[0])
    report = verify(source, vkeys=[SIGNER.vkey])
    assert report.clean, report.findings
    assert report.counts == {"entries": 2, "bodies": 1, "redacted": 0, "left_out": 0, "checkpoints": 1}
    leaves = [leaf_hash(raw).hex() for _, raw in (row for row in source.entries() if isinstance(row, tuple))]
    ledger = LedgerId(str(report.ledger))
    for value in (report.root.hex(), genesis_prev(ledger), *leaves):
        assert value in example
