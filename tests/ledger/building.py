"""A small ledger in memory, built without a store: what the tests of the pure room verify and then damage."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from forum_mcp.ledger import checkpoint, merkle, note
from forum_mcp.ledger.entry import BodyRef, Entry, LedgerId, RunId, commitment, decode, genesis_prev, leaf_hash
from forum_mcp.ledger.members import seal
from forum_mcp.ledger.verify import RawBody, RawEntry, Source, SourceFault
from forum_mcp.ledger.verify.source import Page

LEDGER = LedgerId("0123456789abcdef0123456789abcdef")
RUN = RunId("fedcba9876543210fedcba9876543210")
SIGNER = note.Signer(checkpoint.origin_of(LEDGER), bytes(range(32)))
NEW_SIGNER = note.Signer(checkpoint.origin_of(LEDGER), bytes(range(1, 33)))
STRANGER = note.Signer(checkpoint.origin_of(LEDGER), bytes(range(2, 34)))


class MemorySource(Source):
    """Rows that a test may change as it likes."""

    def __init__(
        self,
        entries: Sequence[RawEntry | SourceFault],
        bodies: Sequence[RawBody | SourceFault],
        kept: Mapping[int, bytes],
    ) -> None:
        self.rows = list(entries)
        self.body_rows = list(bodies)
        self.kept = dict(kept)
        self.index_rows: list[str] = []
        self.other_faults: list[SourceFault] = []
        self.head_vkeys: list[str] = []
        self.id: str | None = LEDGER
        self.times_read = 0

    @property
    def ledger_id(self) -> str | None:
        return self.id

    @property
    def vkeys(self) -> Sequence[str]:
        return self.head_vkeys

    @property
    def stores_nodes(self) -> bool:
        return True

    def entries(self) -> Iterator[RawEntry | SourceFault]:
        self.times_read += 1
        yield from self.rows

    def bodies(self) -> Iterator[RawBody | SourceFault]:
        yield from self.body_rows

    def pages(self) -> Iterator[Page | SourceFault]:
        for item in super().pages():
            if isinstance(item, SourceFault):
                yield item
            else:
                yield item._replace(kept=[self.kept.get(item.start + n, b"") for n in range(len(item.raws))])

    def faults(self) -> Iterator[SourceFault]:
        yield from self.other_faults

    def index_faults(self) -> Iterator[str | SourceFault]:
        yield from self.index_rows

    def raw(self, seq: int) -> bytes:
        """The bytes of the row at a place."""
        row = self.rows[seq]
        assert not isinstance(row, SourceFault)
        return row[1]

    def put(self, seq: int, raw: bytes) -> None:
        """Overwrite one entry's bytes and the leaf hash beside them, as a careful editor of the file would."""
        self.rows[seq] = (seq, raw)
        self.kept[seq] = leaf_hash(raw) + self.kept[seq][32:]

    def keep(self, seq: int, level: int, node: bytes) -> None:
        """Overwrite one of the hashes stored with an entry: its leaf hash on level 0, else a node it completes."""
        hashes = self.kept[seq]
        self.kept[seq] = hashes[: 32 * level] + node + hashes[32 * (level + 1) :]


class SmallLedger:
    """Appends entries, bodies and checkpoints the way the format asks for."""

    def __init__(self, *, opened: bool = True) -> None:
        self.raws: list[bytes] = []
        self.bodies: dict[str, RawBody] = {}
        if opened:
            self.append("ledger.opened", {"format": 1, "software": "test", "vkey": SIGNER.vkey})

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(raw) for raw in self.raws]

    def append(
        self,
        kind: str,
        data: Mapping[str, object] | None = None,
        bodies: Mapping[str, tuple[str, bytes]] | None = None,
        parents: Sequence[int] = (),
        run: RunId | None = None,
    ) -> int:
        """Append one entry and return its seq."""
        seq = len(self.raws)
        refs = {name: self.body(media_type, text) for name, (media_type, text) in (bodies or {}).items()}
        prev = leaf_hash(self.raws[-1]).hex() if self.raws else genesis_prev(LEDGER)
        members = dict(data or {})
        entry = Entry(
            "engine", 1_700_000_000_000_000 + seq, refs, members, kind, LEDGER, list(parents), prev, run, seq, 1
        )
        self.raws.append(seal(entry))
        return seq

    def body(self, media_type: str, text: bytes) -> BodyRef:
        """Keep a body and return the reference to it."""
        salt = sha256(b"salt %d" % len(self.bodies)).digest()
        commit = commitment(salt, media_type, text)
        self.bodies[commit] = (commit, media_type, salt, text)
        return BodyRef(commit, len(text), media_type)

    def signed(self, *signers: note.Signer, size: int | None = None) -> str:
        """Return a signed note over the first ``size`` entries, all of them by default."""
        count = len(self.raws) if size is None else size
        head = checkpoint.Checkpoint(checkpoint.origin_of(LEDGER), count, merkle.root(self.leaves[:count]))
        return note.sign(checkpoint.format(head), *(signers or (SIGNER,)))

    def record_checkpoint(self, *signers: note.Signer) -> int:
        """Sign what there is and append the checkpoint.signed entry."""
        text = self.signed(*signers)
        return self.append(
            "checkpoint.signed", {"size": len(self.raws)}, {"note": ("text/plain; charset=utf-8", text.encode())}
        )

    def redact(self, commit: str) -> int:
        """Delete a body on record."""
        del self.bodies[commit]
        return self.append("body.redacted", {"commit": commit}, {"reason": ("text/plain", b"asked for")})

    def commit_of(self, seq: int, name: str) -> str:
        """Return the commitment of a body by the entry that cites it."""
        return decode(self.raws[seq]).bodies[name].commit

    def source(self) -> MemorySource:
        """Return the ledger as a source, with stored hashes and bodies sorted by commitment."""
        kept = dict(enumerate(merkle.Frontier().extend(self.leaves)))
        return MemorySource(list(enumerate(self.raws)), [self.bodies[key] for key in sorted(self.bodies)], kept)


def grown(tasks: int = 3) -> SmallLedger:
    """Return a ledger with a request, some tasks with outputs, and a checkpoint over all of it."""
    ledger = SmallLedger()
    started = ledger.append("run.started", {"t_ms": 0}, {"request": ("text/plain", b"write it")}, run=RUN)
    last = started
    for number in range(tasks):
        output = f"output {number}".encode()
        last = ledger.append(
            "task.finished", {"n": 1, "t_ms": number, "task": f"t{number}"}, {"output": ("text/plain", output)},
            [started], RUN,
        )  # fmt: skip
    ledger.append("run.finished", {"state": "succeeded", "t_ms": 9}, parents=[last], run=RUN)
    ledger.record_checkpoint()
    return ledger
