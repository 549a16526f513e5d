"""Writes tests/vectors/forum: run ``python -m tests.standalone.make_vectors`` when the format's version changes."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Final

from forum_mcp.ledger.entry import genesis_prev, leaf_hash
from forum_mcp.ledger.merkle import consistency_proof, inclusion_proof, root
from forum_mcp.ledger.proof import format_growth, format_inclusion
from tests.ledger.building import LEDGER, NEW_SIGNER, SIGNER
from tests.ledger.witness import VKEY, witnessed
from tests.standalone.pair import exported, receipt_of, rich

__all__ = ["FOLDER", "SHOWN", "made"]

FOLDER: Final = Path(__file__).parents[1] / "vectors" / "forum"
SHOWN: Final = (1, 8, 10)
"""The entries of the receipt: a request, a rotation of the key, an output."""


def made() -> dict[str, bytes]:
    """Return name -> bytes of each vector; the keys' seeds are 00 01 .. 1f and 01 02 .. 20."""
    ledger = rich()

    def node(level: int, index: int) -> bytes:
        return root(ledger.leaves[index << level : (index + 1) << level])

    expected = {
        "ledger": LEDGER,
        "size": len(ledger.raws),
        "leaves": [leaf_hash(raw).hex() for raw in ledger.raws],
        "roots": [root(ledger.leaves[:size]).hex() for size in range(len(ledger.raws) + 1)],
        "vkeys": [SIGNER.vkey, NEW_SIGNER.vkey],
        "shown_in_receipt": list(SHOWN),
        "genesis_prev": genesis_prev(LEDGER),
        "commitments": [_commitment(*row) for row in ledger.bodies.values()],
        "kept_at_size_5": ledger.signed(size=5),
        "growth_from_5": format_growth(5, consistency_proof(5, len(ledger.raws), node), ledger.signed(NEW_SIGNER)),
        "proof_of_3": format_inclusion(3, inclusion_proof(3, len(ledger.raws), node), ledger.signed(NEW_SIGNER)),
        "cosigned_at_size_5": witnessed(ledger.signed(size=5)),
        "witness_vkey": VKEY,
        "findings": [],
    }
    return {
        "export.jsonl": b"".join(exported(ledger)),
        "receipt.jsonl": b"".join(receipt_of(ledger, SHOWN, NEW_SIGNER)),
        "expected.json": (json.dumps(expected, indent=1, ensure_ascii=False) + "\n").encode(),
    }


def _commitment(commit: str, media_type: str, salt: bytes, data: bytes | None) -> dict[str, str]:
    assert data is not None
    return {"commit": commit, "salt": salt.hex(), "type": media_type, "bytes": b64encode(data).decode()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in made().items():
        (FOLDER / name).write_bytes(content)
