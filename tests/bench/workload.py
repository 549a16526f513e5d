"""What is recorded: the same facts for both, one body of about 600 bytes of English-like text in every entry."""

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from typing import Final

from forum_mcp.engine.ledger import Ledger
from forum_mcp.ledger.entry import Draft, NewBody, RunId
from forum_mcp.stores.base import Transaction
from tests.bench.peer import open_peer

__all__ = ["TEXT", "body", "draft", "fill", "payload"]

TEXT: Final = "text/plain; charset=utf-8"
_RUN: Final = RunId("0a" * 16)
_BATCH: Final = 500
_WORDS: Final = 60


def body(number: int) -> bytes:
    """Return the body of an entry: its own, and the same on every machine."""
    random = Random(number)
    letters = "".join(random.choices("etaoinshrdlu", k=9 * _WORDS))
    ends = accumulate(random.choices(range(2, 10), k=_WORDS), initial=0)
    words = [letters[start:end] for start, end in pairwise(ends)]
    sentence = " ".join(random.choices(words, k=95))
    return f"{sentence} {sha256(str(number).encode()).hexdigest()[:12]}".encode()


def draft(number: int, reply: bytes | None = None) -> Draft:
    """Return our entry, with ``reply`` for its body where it is made already."""
    facts = {"call": number, "duration_ms": 1200, "n": 1, "t_ms": number, "tokens_in": 40, "tokens_out": 90}
    words = NewBody(TEXT, body(number) if reply is None else reply)
    return Draft("call.finished", "executor:model", facts, {"reply": words}, (0,))


def payload(number: int, reply: bytes | None = None) -> dict[str, object]:
    """Return the peer's payload of the same entry."""
    facts: dict[str, object] = {"call": number, "duration_ms": 1200, "n": 1, "t_ms": number}
    words = body(number) if reply is None else reply
    return {**facts, "tokens_in": 40, "tokens_out": 90, "reply": words.decode()}


def fill(ours: Path, peers: Sequence[tuple[str, Path]], entries: int) -> None:
    """Make our ledger and the peer's, each with ``entries`` entries; ours begins with one that opens it."""
    opened = [open_peer(store, place, durable=False) for store, place in peers]
    with Ledger.open(ours) as ledger:
        for start in range(0, entries, _BATCH):
            made = {number: body(number) for number in range(start, min(start + _BATCH, entries))}
            ledger.store.transact(partial(_append, made={n: reply for n, reply in made.items() if n < entries - 1}))
            for theirs, _ in opened:
                for number, reply in made.items():
                    parent = 0 if number else None
                    theirs.append(actor="model", kind="result", payload=payload(number, reply), causal_parent=parent)
    for _, storage in opened:
        storage.sync()


def _append(transaction: Transaction, made: Mapping[int, bytes]) -> None:
    for number, reply in made.items():
        transaction.append(draft(number, reply), run=_RUN, at_us=1_700_000_000_000_000 + number)
