import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from forum_mcp.errors import NoteError
from forum_mcp.ledger import checkpoint, merkle, note

VECTORS = Path(__file__).parents[1] / "vectors"
TESSERA = VECTORS / "tessera-log"
TESSERA_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
ROOT = b64encode(b"\x07" * 32).decode()


def bundle(size: int) -> list[bytes]:
    """The entries of a tlog-tiles bundle: each has its length before it, 16 bits, big-endian."""
    raw, entries = (TESSERA / "tile" / "entries" / str(size)).read_bytes(), list[bytes]()
    while raw:
        length = int.from_bytes(raw[:2], "big")
        entries.append(raw[2 : 2 + length])
        raw = raw[2 + length :]
    return entries


@pytest.mark.parametrize("size", range(8))
def test_a_checkpoint_signed_by_another_implementation_verifies_against_its_tiles(size: int) -> None:
    opened = note.verify((TESSERA / f"checkpoint.{size}").read_text("utf-8"), TESSERA_KEY)
    head = checkpoint.parse(opened.text)
    leaves: list[bytes] = []
    if size:
        tile = (TESSERA / "tile" / "0" / str(size)).read_bytes()
        leaves = [tile[start : start + 32] for start in range(0, len(tile), 32)]
        assert leaves == [sha256(b"\x00" + entry).digest() for entry in bundle(size)]
    assert (head.origin, head.size) == ("example.com/log/testdata", size)
    assert merkle.root(leaves) == head.root
    assert checkpoint.format(head) == opened.text


def test_checkpoints_of_another_implementation_are_consistent_with_each_other() -> None:
    tile = (TESSERA / "tile" / "0" / "7").read_bytes()
    leaves = [tile[start : start + 32] for start in range(0, len(tile), 32)]
    heads = [
        checkpoint.parse(note.verify((TESSERA / f"checkpoint.{size}").read_text("utf-8"), TESSERA_KEY).text)
        for size in range(8)
    ]

    def node(level: int, index: int) -> bytes:
        return merkle.root(leaves[index << level : (index + 1) << level])

    for old in heads[1:]:
        for new in heads[old.size :]:
            proof = merkle.consistency_proof(old.size, new.size, node)
            assert merkle.verify_consistency(old.size, new.size, proof, old.root, new.root)


def test_the_example_of_the_specification_is_read() -> None:
    page = (VECTORS / "c2sp" / "tlog-checkpoint.md").read_text("utf-8")
    example = re.findall(r"```\n(.*?)```", page, re.DOTALL)[0]
    head = checkpoint.parse(note.parse(example).text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)


def test_extension_lines_of_other_logs_are_passed_over() -> None:
    head = checkpoint.parse(f"example.com/log\n12\n{ROOT}\nsome extension\nanother\n")
    assert head == checkpoint.Checkpoint("example.com/log", 12, b"\x07" * 32)
    assert checkpoint.format(head) == f"example.com/log\n12\n{ROOT}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"origin\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"origin\n\n{ROOT}\n",
        "origin\n1\n\n",
        "origin\n1\n",
        f"origin\n1\n{ROOT}\n\n",
        f"origin\n1\n{ROOT}\n\nextension\n",
        f"origin\n01\n{ROOT}\n",
        f"origin\n+1\n{ROOT}\n",
        f"origin\n-1\n{ROOT}\n",
        f"origin\n1 \n{ROOT}\n",
        f"origin\n1_0\n{ROOT}\n",
        f"origin\n\u0661\n{ROOT}\n",
        f"origin\n0x1\n{ROOT}\n",
        f"origin\n{'9' * 5000}\n{ROOT}\n",
        f"origin\n1\n{ROOT[:-1]}\n",
        f"origin\n1\n{ROOT[:-2]}d=\n",
        f"origin\n1\n{b64encode(bytes(31)).decode()}\n",
        f"origin\n1\n{b64encode(bytes(33)).decode()}\n",
        f"origin\n1\n{ROOT.replace('B', '-')}\n",
    ],
    ids=lambda text: ascii(text)[:50],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        checkpoint.parse(text)


def test_the_origin_of_a_ledger_names_it() -> None:
    assert checkpoint.origin_of("ab" * 16) == "forum-mcp.local/" + "ab" * 16
