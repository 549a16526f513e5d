"""Ledgers of every rules version verify for ever; a decision that changed without a new version is found here."""

import shutil
from pathlib import Path

import pytest

from forum_mcp.engine.ledger import Ledger
from forum_mcp.ledger.kinds import KINDS
from tests.golden.make import HERE, name

GOLDEN = sorted(HERE.glob("*.sqlite"))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_ledger_verifies_and_each_decision_we_still_make_is_made_again(golden: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ledger.db"
    shutil.copyfile(golden, copy)
    with Ledger.open(copy, create=False, read_only=True) as ledger:
        report = ledger.verify(level=4)
    assert report.findings == []
    assert report.counts["not-rederivable"] == 0
    made = "decisions" if golden.name == name() else "rules-not-available"
    assert report.counts[made] > 100


def test_the_present_rules_have_their_golden_ledger_with_every_kind_of_decision(tmp_path: Path) -> None:
    golden = HERE / name()
    assert golden in GOLDEN, "a version was raised: run python -m tests.golden.make"
    copy = tmp_path / "ledger.db"
    shutil.copyfile(golden, copy)
    with Ledger.open(copy, create=False, read_only=True) as ledger:
        kinds = {ledger.entry(seq).kind for seq in range(ledger.size)}
    decisions = {kind.name for kind in KINDS.values() if kind.role == "decision"}
    assert decisions <= kinds
