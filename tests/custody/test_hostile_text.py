"""Text that breaks other programs is stored exactly, or refused with a reason; the ledger reopens and verifies."""

import math
from pathlib import Path
from typing import Final

import pytest

from forum_mcp.engine.ledger import Ledger
from forum_mcp.errors import EntryRefused
from tests.standalone.pair import agreed, lines_of

STORED: Final = {
    "NUL": "a\x00b",
    "control": "".join(map(chr, range(32))) + "\x7f",
    "next line": "a\x85b",
    "line separators": "a\u2028b\u2029c\r\n\v\f\x1c\x1d\x1e",
    "noncharacters": "\ufeff\ufffe\uffff\U0010ffff",
    "bidi": "\u202eevil\u2066\u2069",
    "one line of 10 MB": "x" * 10_000_000,
    "looks like a line of an export": '"}\n{"t":"entry","bytes":"',
    "a million brackets": "[" * 1_000_000,
}
NESTED: Final[list[object]] = []
for _ in range(1_000):
    NESTED[:] = [list(NESTED)]
REFUSED: Final[dict[str, object]] = {
    "lone surrogate": "\ud800",
    "surrogates in the wrong order": "\udc00\ud800",
    "NaN": math.nan,
    "infinity": math.inf,
    "a fraction": 0.5,
    "2 to the 53rd": 2**53,
    "a huge integer": 10**4_000,
    "a huge negative one": -(10**400),
    "bytes": b"\xff",
    "a key that is not ASCII": {"\u2028": 1},
    "a key that is no text": {1: 1},
    "nested too deep": NESTED,
    "more than an entry holds": "x" * 70_000,
}


def test_what_can_be_stored_comes_back_exactly_and_both_verifiers_take_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        for name, text in STORED.items():
            facts = {"text": text} if len(text) < 1_000 else {}
            ledger.append("x.noted", actor=f"test {text[:20]}", data=facts, bodies={"text": text, "name": name})
        ledger.append("x.noted", actor="test", bodies={"invalid": b"\xff\xfe\x80 no UTF-8 \xed\xa0\x80"})
    with Ledger.open(path, create=False) as ledger:
        for seq, text in enumerate(STORED.values(), 1):
            entry = ledger.entry(seq)
            assert ledger.body(str(entry.bodies["text"]["commit"])).data == text.encode()
            assert entry.data.get("text", text) == text
            assert entry.actor == f"test {text[:20]}"
        last = ledger.entry(len(STORED) + 1)
        assert ledger.body(str(last.bodies["invalid"]["commit"])).data == b"\xff\xfe\x80 no UTF-8 \xed\xa0\x80"
        assert ledger.verify().clean
        assert agreed(lines_of(b"".join(ledger.export()))) == set()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_stored_is_refused_with_a_reason_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        with pytest.raises(EntryRefused) as refused:
            ledger.append("x.noted", actor="test", data={"value": REFUSED[name]})
        assert 20 < len(str(refused.value)) < 1_500
        assert ledger.size == 1
        ledger.append("x.noted", actor="test")
    with Ledger.open(path, create=False) as ledger:
        assert ledger.size == 2
        assert ledger.verify().clean


@pytest.mark.parametrize("actor", ["", "\ud800", "x" * 201])
def test_an_actor_that_cannot_be_stored_is_refused(tmp_path: Path, actor: str) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        with pytest.raises(EntryRefused):
            ledger.append("x.noted", actor=actor)
        assert ledger.verify().clean
