"""What is recorded: the same facts for both, one body of about 600 bytes of English-like text in every entry."""

from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final

from forum_mcp.engine.ledger import Ledger
from forum_mcp.ledger.entry import Draft, NewBody, RunId
from forum_mcp.stores.base import Transaction
from tests.bench.peer import open_peer

__all__ = ["TEXT", "body", "draft", "fill_ours", "fill_peer", "payload"]

TEXT: Final = "text/plain; charset=utf-8"
_RUN: Final = RunId("0a" * 16)
_BATCH: Final = 500


def body(number: int) -> bytes:
    """Return the body of an entry: its own, and the same on every machine."""
    random = Random(number)
    words = ["".join(random.choices("etaoinshrdlu", k=random.randint(2, 9))) for _ in range(60)]
    sentence = " ".join(random.choices(words, k=95))
    return f"{sentence} {sha256(str(number).encode()).hexdigest()[:12]}".encode()


def draft(number: int) -> Draft:
    """Return our entry."""
    facts = {"call": number, "duration_ms": 1200, "n": 1, "t_ms": number, "tokens_in": 40, "tokens_out": 90}
    return Draft("call.finished", "executor:model", facts, {"reply": NewBody(TEXT, body(number))}, (0,))


def payload(number: int) -> dict[str, object]:
    """Return the peer's payload of the same entry."""
    facts: dict[str, object] = {"call": number, "duration_ms": 1200, "n": 1, "t_ms": number}
    return {**facts, "tokens_in": 40, "tokens_out": 90, "reply": body(number).decode()}


def fill_ours(path: Path, entries: int) -> None:
    """Make our ledger with ``entries`` entries after its first."""
    with Ledger.open(path) as ledger:
        for start in range(0, entries, _BATCH):
            ledger.store.transact(partial(_append, numbers=range(start, min(start + _BATCH, entries))))


def fill_peer(store: str, place: Path, entries: int) -> None:
    """Make the peer's ledger with ``entries`` entries."""
    ledger, storage = open_peer(store, place, durable=False)
    for number in range(entries):
        ledger.append(actor="model", kind="result", payload=payload(number), causal_parent=0 if number else None)
    storage.sync()


def _append(transaction: Transaction, numbers: range) -> None:
    for number in numbers:
        transaction.append(draft(number), run=_RUN, at_us=1_700_000_000_000_000 + number)
