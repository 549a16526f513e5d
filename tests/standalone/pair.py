"""Both verifiers on the same bytes: what each finds, as a set of (code, seq, body)."""

from collections.abc import Sequence
from pathlib import Path

from forum_mcp.ledger import merkle, note, receipt, standalone
from forum_mcp.ledger.entry import Body, decode
from forum_mcp.ledger.export import ExportSource, write
from forum_mcp.ledger.finding import CODES
from forum_mcp.ledger.proof import format_inclusion
from forum_mcp.ledger.verify import verify
from tests.ledger.building import LEDGER, NEW_SIGNER, RUN, SIGNER, SmallLedger, grown

__all__ = ["Found", "agreed", "exported", "lines_of", "receipt_of", "rich", "standalone_path"]

Found = set[tuple[str, int | None, str | None]]


def rich() -> SmallLedger:
    """Return a ledger that uses all of the format: bodies, a redaction, checkpoints, a rotated key."""
    ledger = grown(2)
    words = ledger.append(
        "note.made", {"n": -1, "deep": [{"a": [None, True]}]}, {"text": ("text/plain", b"private")}, [1]
    )
    ledger.redact(ledger.commit_of(words, "text"))
    ledger.append("key.rotated", {"vkey": NEW_SIGNER.vkey})
    ledger.record_checkpoint(SIGNER, NEW_SIGNER)
    ledger.append(
        "task.finished", {"t_ms": 3}, {"output": ("text/plain", "a\u2028\u00e9\U0001f600\x07".encode())}, [1, 2], RUN
    )
    return ledger


def exported(ledger: SmallLedger) -> list[bytes]:
    """Return the lines of an export with a checkpoint by the newest key over all of it."""
    rotated = any(decode(raw).kind == "key.rotated" for raw in ledger.raws)
    source = ledger.source()
    source.head_vkeys = [SIGNER.vkey, NEW_SIGNER.vkey] if rotated else [SIGNER.vkey]
    signed = ledger.signed(NEW_SIGNER if rotated else SIGNER)
    return list(write(source, ledger=LEDGER, size=len(ledger.raws), notes=[signed]))


def receipt_of(ledger: SmallLedger, seqs: Sequence[int], *signers: note.Signer) -> list[bytes]:
    """Return the lines of a receipt with bodies, under a checkpoint over the whole ledger."""
    leaves = ledger.leaves

    def node(level: int, index: int) -> bytes:
        return merkle.root(leaves[index << level : (index + 1) << level])

    signed = ledger.signed(*signers)
    items: list[receipt.Proven] = []
    for seq in seqs:
        bodies: list[Body] = []
        for ref in decode(ledger.raws[seq]).bodies.values():
            row = ledger.bodies.get(ref.commit)
            if row is not None and row[3] is not None:
                bodies.append(Body(row[0], row[1], row[2], row[3]))
        proof = format_inclusion(seq, merkle.inclusion_proof(seq, len(leaves), node), signed)
        items.append(receipt.Proven(ledger.raws[seq], proof, bodies))
    vkeys = [signer.vkey for signer in signers or (SIGNER,)]
    return list(receipt.write(items, ledger=LEDGER, vkeys=vkeys))


def lines_of(whole: bytes) -> list[bytes]:
    """Return the lines of a file, as every reader of this format breaks them."""
    return whole.removesuffix(b"\n").split(b"\n") if whole else []


def agreed(
    lines: Sequence[bytes],
    *,
    kept: Sequence[str] = (),
    vkeys: Sequence[str] = (),
    level: int = 3,
    is_receipt: bool = False,
) -> Found:
    """Return what both verifiers find; fail when they differ, raise, or use a code that the format does not have."""
    if is_receipt:
        report = receipt.verify(list(lines), level=level, checkpoints=kept, vkeys=vkeys)
    else:
        report = verify(ExportSource(list(lines)), level=level, checkpoints=kept, vkeys=vkeys)
    assert report.total == len(report.findings)
    main = {(finding.code, finding.seq, finding.body) for finding in report.findings}
    alone: Found = {finding[:3] for finding in standalone.verify(list(lines), level, kept, vkeys)}
    assert alone == main, (
        f"only ours: {sorted(main - alone, key=repr)}, only standalone: {sorted(alone - main, key=repr)}"
    )
    assert {code for code, _, _ in alone} <= set(CODES)
    return alone


def standalone_path() -> Path:
    """Return the file an auditor copies out."""
    return Path(standalone.__file__)
