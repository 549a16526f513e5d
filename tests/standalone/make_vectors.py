"""Writes tests/vectors/forum: run ``python -m tests.standalone.make_vectors`` when the format's version changes."""

import json
from pathlib import Path
from typing import Final

from forum_mcp.ledger.entry import leaf_hash
from forum_mcp.ledger.merkle import root
from tests.ledger.building import LEDGER, NEW_SIGNER, SIGNER
from tests.standalone.pair import exported, receipt_of, rich

__all__ = ["FOLDER", "SHOWN", "made"]

FOLDER: Final = Path(__file__).parents[1] / "vectors" / "forum"
SHOWN: Final = (1, 8, 10)
"""The entries of the receipt: a request, a rotation of the key, an output."""


def made() -> dict[str, bytes]:
    """Return name -> bytes of each vector; the keys' seeds are 00 01 .. 1f and 01 02 .. 20."""
    ledger = rich()
    expected = {
        "ledger": LEDGER,
        "size": len(ledger.raws),
        "leaves": [leaf_hash(raw).hex() for raw in ledger.raws],
        "roots": [root(ledger.leaves[:size]).hex() for size in range(len(ledger.raws) + 1)],
        "vkeys": [SIGNER.vkey, NEW_SIGNER.vkey],
        "shown_in_receipt": list(SHOWN),
        "kept_at_size_5": ledger.signed(size=5),
        "findings": [],
    }
    return {
        "export.jsonl": b"".join(exported(ledger)),
        "receipt.jsonl": b"".join(receipt_of(ledger, SHOWN, NEW_SIGNER)),
        "expected.json": (json.dumps(expected, indent=1, ensure_ascii=False) + "\n").encode(),
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in made().items():
        (FOLDER / name).write_bytes(content)
