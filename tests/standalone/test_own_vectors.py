"""Our own test vectors for whoever writes a verifier: they verify for ever, and we still write them byte for byte."""

import json
from base64 import b64decode
from hashlib import sha256

import pytest

from forum_mcp.ledger import growth, merkle, receipt, standalone
from forum_mcp.ledger.export import ExportSource
from forum_mcp.ledger.proof import parse_inclusion
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


def test_hashes_of_the_format_page_give_the_stated_commitments_and_links() -> None:
    for one in EXPECTED["commitments"]:
        plain = b"forum-body/v1\n" + bytes.fromhex(one["salt"]) + one["type"].encode() + b"\n"
        assert sha256(plain + b64decode(one["bytes"])).hexdigest() == one["commit"]
    assert sha256(f"forum-ledger/v1\n{EXPECTED['ledger']}".encode()).hexdigest() == EXPECTED["genesis_prev"]
    entries = [json.loads(line)["bytes"] for line in lines_of((FOLDER / "export.jsonl").read_bytes())[1:12]]
    assert [sha256(b"\0" + raw.encode()).hexdigest() for raw in entries] == EXPECTED["leaves"]
    assert [json.loads(raw)["prev"] for raw in entries] == [EXPECTED["genesis_prev"], *EXPECTED["leaves"][:-1]]


def test_the_growth_proof_leads_from_the_kept_checkpoint_and_the_witness_vouches_for_it() -> None:
    kept, witness = EXPECTED["cosigned_at_size_5"], EXPECTED["witness_vkey"]
    report = growth.verify(EXPECTED["growth_from_5"], kept, vkeys=EXPECTED["vkeys"], witnesses=[witness])
    assert report.clean, report.findings
    assert (report.size, report.root.hex()) == (EXPECTED["size"], EXPECTED["roots"][-1])
    assert report.counts["witnesses"] == 1
    assert kept.startswith(EXPECTED["kept_at_size_5"])


def test_the_inclusion_proof_leads_to_the_newest_root() -> None:
    proof = parse_inclusion(EXPECTED["proof_of_3"])
    leaf, newest = bytes.fromhex(EXPECTED["leaves"][3]), bytes.fromhex(EXPECTED["roots"][-1])
    assert proof.index == 3
    assert merkle.verify_inclusion(3, EXPECTED["size"], leaf, proof.hashes, newest)
    line = lines_of((FOLDER / "export.jsonl").read_bytes())[4]
    head = lines_of((FOLDER / "receipt.jsonl").read_bytes())[0]
    receipt_of_3 = [head, line, json.dumps({"t": "proof", "text": EXPECTED["proof_of_3"]}).encode()]
    assert standalone.verify(receipt_of_3, 3, [], EXPECTED["vkeys"][1:]) == []
