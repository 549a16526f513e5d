"""Checkpoints, proofs and receipts of ours, read by implementations nobody here wrote (dependency group ``peers``).

``sigstore`` reads our checkpoint as the one of a Rekor log and our inclusion proof as an entry's; ``aics-tlog`` (which
needs Python 3.12) reads C2SP notes, verifier keys and both kinds of RFC 9162 proofs. A package that is not installed
is skipped by name; one that is installed and cannot be used fails.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forum_mcp.engine.ledger import Ledger
from forum_mcp.ledger import checkpoint, note
from forum_mcp.ledger.proof import parse_growth, parse_inclusion

ENTRIES: Final = 13

needs_sigstore = pytest.mark.skipif(find_spec("sigstore") is None, reason="sigstore is in the group peers")
needs_aics_tlog = pytest.mark.skipif(find_spec("aics_tlog") is None, reason="aics-tlog is in the group peers (3.12)")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        for number in range(ENTRIES - 1):
            opened.append("note.made", actor="person:test", data={"n": number}, bodies={"text": f"words {number}"})
        yield opened


def from_receipt(ledger: Ledger) -> list[tuple[bytes, str]]:
    """Return each entry's bytes and proof, as a receipt of the whole ledger hands them over."""
    lines = [json.loads(line) for line in ledger.receipt(range(ENTRIES), bodies=True)]
    entries = [line["bytes"].encode() for line in lines if line["t"] == "entry"]
    proofs = [line["text"] for line in lines if line["t"] == "proof"]
    assert len(entries) == len(proofs) == ENTRIES
    return list(zip(entries, proofs, strict=True))


def rekor_keyring(ledger: Ledger) -> Any:
    """Return sigstore's own keyring with the ledger's key in it."""
    trust, common = import_module("sigstore._internal.trust"), import_module("sigstore_models.common.v1")
    key = Ed25519PublicKey.from_public_bytes(note.parse_vkey(ledger.vkey).public_key)
    spelt = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    public = common.PublicKey(raw_bytes=b64encode(spelt), key_details=common.PublicKeyDetails.PKIX_ED25519)
    return trust.RekorKeyring(trust.Keyring([public]))


def rekor_entry(ledger: Ledger, entry: bytes, text: str) -> Any:
    """Return what sigstore takes for an entry of a log: its bytes, its place, its proof and the checkpoint."""
    proof = parse_inclusion(text)
    head = checkpoint.parse(note.parse(proof.note).text)
    inner = SimpleNamespace(
        canonicalized_body=entry,
        log_id=SimpleNamespace(key_id=note.parse_vkey(ledger.vkey).key_id),
        inclusion_proof=SimpleNamespace(
            log_index=proof.index,
            tree_size=head.size,
            hashes=list(proof.hashes),
            root_hash=head.root,
            checkpoint=SimpleNamespace(envelope=proof.note),
        ),
    )
    return SimpleNamespace(_inner=inner)


@needs_sigstore
def test_sigstore_accepts_each_entry_of_a_receipt_and_its_checkpoint(ledger: Ledger) -> None:
    merkle, rekor = import_module("sigstore._internal.merkle"), import_module("sigstore._internal.rekor.checkpoint")
    keyring = rekor_keyring(ledger)
    for entry, text in from_receipt(ledger):
        log_entry = rekor_entry(ledger, entry, text)
        merkle.verify_merkle_inclusion(log_entry)
        rekor.verify_checkpoint(keyring, log_entry)


@needs_sigstore
def test_sigstore_refuses_a_changed_entry_another_place_and_another_signature(ledger: Ledger) -> None:
    merkle, rekor = import_module("sigstore._internal.merkle"), import_module("sigstore._internal.rekor.checkpoint")
    refusal = import_module("sigstore.errors").VerificationError
    entry, text = from_receipt(ledger)[4]
    with pytest.raises(refusal):
        merkle.verify_merkle_inclusion(rekor_entry(ledger, entry.replace(b"note.made", b"note.fake"), text))
    with pytest.raises(refusal):
        merkle.verify_merkle_inclusion(rekor_entry(ledger, entry, text.replace("index 4", "index 5")))
    spoilt = rekor_entry(ledger, entry, text.replace(f"\n{ENTRIES}\n", f"\n{ENTRIES + 1}\n"))
    with pytest.raises(refusal):
        rekor.verify_checkpoint(rekor_keyring(ledger), spoilt)


@needs_aics_tlog
def test_aics_tlog_accepts_our_key_checkpoint_and_proofs(ledger: Ledger) -> None:
    notes, heads = import_module("aics_tlog.note"), import_module("aics_tlog.checkpoint")
    tree = import_module("aics_tlog.tree")
    key = notes.parse_vkey(ledger.vkey)
    origin = checkpoint.origin_of(ledger.ledger_id)
    for index, (entry, text) in enumerate(from_receipt(ledger)):
        proof = parse_inclusion(text)
        verdict = heads.verify_checkpoint(notes.parse_note(proof.note), key, expected_origin=origin)
        assert verdict.ok, verdict.error
        assert verdict.size == ENTRIES
        assert tree.verify_leaf_inclusion(entry, index, verdict.size, list(proof.hashes), verdict.root)
        assert not tree.verify_leaf_inclusion(entry + b" ", index, verdict.size, list(proof.hashes), verdict.root)


@needs_aics_tlog
def test_aics_tlog_has_the_same_root_and_makes_the_same_proofs(ledger: Ledger) -> None:
    theirs = import_module("aics_tlog.tree").MerkleTree([ledger.raw(seq) for seq in range(ENTRIES)])
    for size in range(1, ENTRIES + 1):
        assert theirs.root(size) == ledger.root(size)
        assert all(theirs.inclusion_proof(seq, size) == ledger.inclusion_proof(seq, size) for seq in range(size))
        assert all(theirs.consistency_proof(old, size) == ledger.consistency_proof(old, size) for old in range(1, size))


@needs_aics_tlog
def test_aics_tlog_accepts_that_the_ledger_only_grew(ledger: Ledger) -> None:
    notes, heads = import_module("aics_tlog.note"), import_module("aics_tlog.checkpoint")
    tree, key = import_module("aics_tlog.tree"), notes.parse_vkey(ledger.vkey)
    kept = ledger.checkpoint()
    for _ in range(6):
        ledger.append("note.made", actor="person:test")
    growth = parse_growth(ledger.growth_proof(kept))
    old, new = (heads.verify_checkpoint(notes.parse_note(text), key) for text in (kept, growth.note))
    assert old.ok
    assert new.ok
    assert (growth.old_size, new.size) == (old.size, ENTRIES + 6)
    hashes = list(growth.hashes)
    assert tree.verify_consistency(old.size, new.size, old.root, new.root, hashes)
    assert not tree.verify_consistency(old.size, new.size, new.root, old.root, hashes)


@needs_aics_tlog
def test_aics_tlog_refuses_a_spoilt_checkpoint(ledger: Ledger) -> None:
    notes, heads = import_module("aics_tlog.note"), import_module("aics_tlog.checkpoint")
    spoilt = ledger.checkpoint().replace(f"\n{ENTRIES}\n", f"\n{ENTRIES + 1}\n")
    assert not heads.verify_checkpoint(notes.parse_note(spoilt), notes.parse_vkey(ledger.vkey)).ok
    assert len(b64decode(spoilt.split("\n")[2])) == 32
