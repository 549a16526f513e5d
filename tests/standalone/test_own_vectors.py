"""Our own test vectors for whoever writes a verifier: they verify for ever, and we still write them byte for byte."""

import json

import pytest

from forum_mcp.ledger import merkle, receipt, standalone
from forum_mcp.ledger.export import ExportSource
from forum_mcp.ledger.verify import verify
from tests.standalone.make_vectors import FOLDER, SHOWN, made
from tests.standalone.pair import lines_of

EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(made()))
def test_what_we_write_today_is_the_vector(name: str) -> None:
    assert (FOLDER / name).read_bytes() == made()[name]


def test_the_export_has_the_roots_and_leaves_that_are_stated() -> None:
    source = ExportSource((FOLDER / "export.jsonl").read_bytes())
    report = verify(source, checkpoints=[EXPECTED["kept_at_size_5"]], vkeys=EXPECTED["vkeys"])
    assert report.clean, report.findings
    assert report.size == EXPECTED["size"]
    assert report.root.hex() == EXPECTED["roots"][-1]
    leaves = [bytes.fromhex(leaf) for leaf in EXPECTED["leaves"]]
    assert [merkle.root(leaves[:size]).hex() for size in range(len(leaves) + 1)] == EXPECTED["roots"]


def test_the_receipt_proves_the_entries_that_are_stated() -> None:
    report = receipt.verify((FOLDER / "receipt.jsonl").read_bytes(), vkeys=EXPECTED["vkeys"][1])
    assert report.clean, report.findings
    assert report.counts["proven"] == len(SHOWN) == len(EXPECTED["shown_in_receipt"])
    assert report.root.hex() == EXPECTED["roots"][-1]


@pytest.mark.parametrize("name", ["export.jsonl", "receipt.jsonl"])
def test_the_standalone_verifier_finds_nothing_in_them(name: str) -> None:
    whole = (FOLDER / name).read_bytes()
    assert standalone.verify(lines_of(whole), 3, [], [EXPECTED["vkeys"][1]]) == []
