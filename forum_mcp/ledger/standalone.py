"""Verify an export or a receipt of a forum-mcp ledger with Python's standard library alone.

    python standalone.py FILE [--vkey KEY]... [--checkpoint FILE]... [--level 1|2|3]

Copy this file out, read it at one sitting, run it. It imports nothing of forum-mcp; docs/ledger-format.md is what it
checks. It writes nothing and answers with findings; bad data raises nothing. Give it the owner's key and every
checkpoint you kept: without them a file only agrees with itself. Exits 0 clean, 1 findings, 2 usage, 3 cannot read.
"""

# fmt: off
import argparse
import json
import re
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import sha256, sha512
from itertools import accumulate, pairwise
from typing import Any, TypeVar

__all__ = ["Finding", "main", "verify", "verify_ed25519"]
Finding = tuple[str, int | None, str | None, str]  # code, entry and body (64 hex) concerned, what is wrong
T = TypeVar("T")
_Point = tuple[int, int, int, int]
_Members = dict[str, Any]
_Note = tuple[str, str, int, bytes, list[tuple[str, bytes]]]

def _demand(holds: object, code: str, why: object) -> None:
    if not holds:
        raise ValueError(code, why)  # always these two: the finding code, and what is wrong

_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys("actor bytes commit format kind ledger note prev salt t text type".split(), (str,)),  # noqa: SIM905 - read as words
    "at": (int,), "seq": (int,), "size": (int,), "v": (int,), "run": (str, type(None)), "bodies": (dict,),
    "data": (dict,), "parents": (list,), "without_bodies": (bool,), "vkey": (str, list, type(None))}

def _json(raw: bytes) -> Any:
    """Return a JSON value. Refused: no UTF-8, NaN, numbers out of range, lone surrogates, more than 128 levels."""
    depths = accumulate(1 if sign in b"[{" else -1 for sign in re.sub(rb'"(?:[^"\\]|\\.)*+"|[^][{}"]+', b"", raw))
    _demand(max(depths, default=0) <= 128, "unreadable", "nested deeper than 128 levels")
    try:
        # Read so that members which stand twice are kept; writing that finds lone surrogates and infinite numbers.
        json.dumps(json.loads(raw.decode(), object_pairs_hook=list), ensure_ascii=False, allow_nan=False).encode()
        return json.loads(raw, parse_constant=int)
    except (ValueError, RecursionError) as fault:
        raise ValueError("unreadable", f"no JSON: {fault}") from fault

def _is(value: Any, members: str) -> bool:  # an object of exactly these members, each of its type
    names = members.split()
    return value.__class__ is dict and value.keys() == set(names) and all(type(value[k]) in _TYPES[k] for k in names)

def _fits(value: Any, depth: int = 0) -> bool:  # integers within 2^53, ASCII names, at most 64 containers deep
    if value.__class__ is dict:
        return depth < 64 and all(name.isascii() and _fits(inner, depth + 1) for name, inner in value.items())
    if value.__class__ is list:
        return depth < 64 and all(_fits(inner, depth + 1) for inner in value)
    return value.__class__ is not float and (value.__class__ is not int or abs(value) < 2**53)

def _hex(text: object, length: int = 64) -> bool:
    return isinstance(text, str) and re.fullmatch(f"[0-9a-f]{{{length}}}", text) is not None

def _unbase64(text: str, code: str) -> bytes:
    _demand(re.fullmatch("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text), code, "no base64")
    _demand(b64encode(b64decode(text)).decode() == text, code, "base64 in another spelling than its canonical one")
    return b64decode(text)

@lru_cache(maxsize=10_000)
def verify_ed25519(key: bytes, signature: bytes, message: bytes) -> bool:
    """State whether a signature is by a public key (RFC 8032, 5.1.7, without the cofactor; no key of small order)."""
    p, order = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, -1, p) % p
    def plus(one: _Point, two: _Point) -> _Point:
        a, b = (one[1] - one[0]) * (two[1] - two[0]), (one[1] + one[0]) * (two[1] + two[0])
        c, z, e, h = 2 * d * one[3] * two[3], 2 * one[2] * two[2], b - a, b + a
        return e * (z - c) % p, (z + c) * h % p, (z - c) * (z + c) % p, e * h % p
    def times(scalar: int, point: _Point) -> _Point:
        total: _Point = (0, 1, 1, 0)
        while scalar:
            total = plus(total, point) if scalar & 1 else total
            point, scalar = plus(point, point), scalar >> 1
        return total
    def point_of(spelt: bytes) -> _Point | None:
        y, sign = int.from_bytes(spelt, "little") & (1 << 255) - 1, spelt[31] >> 7
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        x = x if (x * x - square) % p == 0 else x * pow(2, (p - 1) // 4, p) % p
        x = x if x & 1 == sign else p - x
        return (x, y, 1, x * y % p) if y < p and x < p and (x * x - square) % p == 0 else None
    base, public = point_of(b"\x58" + b"\x66" * 31), point_of(key)
    s = int.from_bytes(signature[32:], "little")
    if base is None or public is None or times(8, public)[0] == 0 or len(signature) != 64 or s >= order:
        return False
    h = int.from_bytes(sha512(signature[:32] + key + message).digest(), "little") % order
    x, y, z, _ = plus(times(s, base), times(8 * order - h, public))
    x, y = x * pow(z, -1, p) % p, y * pow(z, -1, p) % p
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_B64, _NUMBER = "[A-Za-z0-9+/]+={0,2}", "(0|[1-9][0-9]{0,17})"
_LINE = f"\u2014 ([^\\s+]+) ({_B64})\n"
_NOTE = re.compile(f"(([^\n]+)\n{_NUMBER}\n({_B64})\n(?:[^\n]+\n)*)\n((?:{_LINE}){{1,100}})")
_PROOF = re.compile(f"c2sp[.]org/tlog-proof@v1\n(?:extra {_B64}\n)?index {_NUMBER}\n((?:{_B64}\n){{0,63}})\n(.*)", re.S)

def _note(text: str) -> _Note:  # signed text, origin, size, root, and signatures as (key name, key id and signature)
    code, found = "checkpoint-format", None if _CONTROL.search(text[:1_000_000]) else _NOTE.fullmatch(text)
    if found is None or len(text) > 1_000_000:
        raise ValueError(code, "no checkpoint in a signed note")
    root, lines = _unbase64(found[4], code), re.findall(_LINE, found[5])
    signatures = [(name, _unbase64(blob, code)) for name, blob in lines]
    _demand(len(root) == 32 and all(len(blob) > 4 for _, blob in signatures), code, "no root, or no signature")
    return found[1], found[2], int(found[3]), root, signatures

def _vkey(text: str) -> tuple[str, bytes, bytes]:  # name, 4-byte key id and public key of a verifier key
    found = None if _CONTROL.search(text) else re.fullmatch(f"([^\\s+]+)\\+([0-9a-f]{{8}})\\+({_B64})", text)
    if found is None:
        raise ValueError("vkey", f"no verifier key: {text}")
    key = _unbase64(found[3], "vkey")
    named = sha256(found[1].encode() + b"\n" + key).hexdigest()[:8] == found[2]
    _demand(named and len(key) == 33 and key[0] == 1, "vkey", f"no Ed25519 key, or another key id: {text}")
    return found[1], bytes.fromhex(found[2]), key[1:]

def _signers(note: _Note, ledger: str | None, vkeys: Iterable[str]) -> set[str]:
    """Return which of the keys signed a checkpoint of the ledger; the signature of none of them may be bad."""
    known = {_vkey(key)[:2]: key for key in vkeys}
    _demand(note[1] == f"forum-mcp.local/{ledger or ''}", "checkpoint-origin", note[1])
    signed = [(known[name, blob[:4]], blob[4:]) for name, blob in note[4] if (name, blob[:4]) in known]
    good = all(verify_ed25519(_vkey(key)[2], signature, note[0].encode()) for key, signature in signed)
    _demand(good and (signed or not known), "checkpoint-signature", "no known key signed, or one did badly")
    return {key for key, _ in signed}

def _proof(text: str) -> tuple[int, list[bytes], str]:  # index, hashes and signed checkpoint of a tlog-proof
    code, found = "checkpoint-format", _PROOF.fullmatch(text)
    if found is None:
        raise ValueError(code, "no tlog-proof")
    hashes = [_unbase64(line, code) for line in found[2].split()]
    _demand(all(len(one) == 32 for one in hashes), code, "a hash that is not 32 bytes")
    return int(found[1]), hashes, found[3]

def _root(leaves: Sequence[bytes], start: int, size: int, known: dict[tuple[int, int], bytes]) -> bytes:
    """Return the RFC 6962 root over ``size`` leaf hashes from ``start``; ``known`` keeps what was computed."""
    if size < 2:
        return leaves[start] if size else sha256(b"").digest()
    if (start, size) not in known:
        left = 1 << (size - 1).bit_length() - 1
        both = _root(leaves, start, left, known) + _root(leaves, start + left, size - left, known)
        known[start, size] = sha256(b"\1" + both).digest()
    return known[start, size]

def _led_to(index: int, size: int, leaf: bytes, hashes: Sequence[bytes]) -> bytes | None:
    """Return the root that sibling hashes, the leaf's own first, lead to; None when they are not as many as needed."""
    if size < 2 or not hashes or index >= size:
        return leaf if size == 1 and index == 0 and not hashes else None
    left = 1 << (size - 1).bit_length() - 1
    at, of = (index, left) if index < left else (index - left, size - left)
    below = _led_to(at, of, leaf, hashes[:-1])
    return below and sha256(b"\1" + (below + hashes[-1] if index < left else hashes[-1] + below)).digest()

_LINES = {"entry": "t bytes", "body": "t commit type salt bytes"}  # the members of each kind of line
_EXPORT = _LINES | {"head": "t format ledger size vkey without_bodies", "checkpoint": "t note"}
_RECEIPT = _LINES | {"head": "t format ledger vkey", "proof": "t text"}
_AFTER = {"head": "entry body checkpoint", "entry": "entry body checkpoint", "body": "body checkpoint"}
_AFTER_IN_RECEIPT = {"head": "entry", "entry": "entry proof", "proof": "entry body", "body": "entry body"}
_KIND, _TYPE = re.compile(r"(?!.{101})[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+"), re.compile(r"(?!.{101})([!-@\[-~]|(?<=;) )+")

def _entry(raw: bytes) -> tuple[_Members, list[str]]:
    """Return an entry, and the finding code of each rule that it breaks by itself."""
    entry, most = _json(raw), 2**53 - 1
    version = entry.get("v") if entry.__class__ is dict else None
    code = "version" if isinstance(version, int) and version != 1 else "member"
    _demand(_is(entry, "actor at bodies data kind ledger parents prev run seq v"), code, "not the members of an entry")
    refs, parents, run = entry["bodies"].values(), entry["parents"], entry["run"]
    shaped = all(_is(ref, "commit size type") for ref in refs) and all(type(parent) is int for parent in parents)
    _demand(shaped, code, "not the members of a body, or a parent that is no integer")
    again = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    fits = _fits(entry["at"]) and _fits(entry["data"]) and all(name and name.isascii() for name in entry["bodies"])
    ids = _hex(entry["ledger"], 32) and (run is None or _hex(run, 32)) and 1 <= len(entry["actor"]) <= 200
    ordered = len(parents) <= 256 and parents == sorted(set(parents))
    rules: dict[str, object] = {
        "not-canonical": again == raw and fits,
        "member": ids and _KIND.fullmatch(entry["kind"]),
        "version": entry["v"] == 1,
        "prev": _hex(entry["prev"]),
        "seq": 0 <= entry["seq"] <= most,
        "parents": ordered and all(0 <= parent < entry["seq"] for parent in parents),
        "body-ref": all(_hex(r["commit"]) and 0 <= r["size"] <= most and _TYPE.fullmatch(r["type"]) for r in refs),
    }
    return entry, [code for code, holds in rules.items() if not holds]

class _Verification:  # findings of a depth beyond the level asked for are not kept
    def __init__(self, lines: Sequence[bytes], level: int, kept: Sequence[str], trusted: Sequence[str]) -> None:
        self.lines, self.level, self.kept, self.trusted, self.depth = lines, level, kept, trusted, 1
        proofs = b"forum-export/v1" not in lines[0] and any(b'"t":"proof"' in line for line in lines)
        self.is_receipt = proofs or b"forum-receipt/v1" in lines[0]
        self.findings: list[Finding] = []
        self.ledger: str | None = None
        self.leaf_at: dict[int, bytes] = {}
        self.cited: dict[str, list[tuple[int, int, str]]] = {}  # commitment -> citing entry, size, type it states
        self.redacted: dict[str, int] = {}
        self.met: set[str] = set()
        self.named: list[tuple[int, str]] = []  # keys that entries name
        self.signed: list[tuple[int, object, str]] = []  # seq, stated size and commitment of each note
        self.proofs: list[tuple[int | None, bytes, str | None]] = []  # entry of a receipt, its leaf, its proof

    def expect(self, holds: object, code: str, seq: int | None, why: object, body: str | None = None) -> bool:
        if not holds and self.depth <= self.level:
            self.findings.append((code, seq, body, ascii(str(why)[:300])))
        return bool(holds)

    def held(self, seq: int | None, check: Callable[..., T], *arguments: Any) -> T | None:
        try:
            return check(*arguments)
        except ValueError as fault:
            self.expect(False, fault.args[0], seq, fault.args[1])
            return None

    def record(self, raw: bytes) -> _Members:
        record, pairs = _json(raw), json.loads(raw, object_pairs_hook=list)
        kind = str(record.get("t")) if record.__class__ is dict else ""
        if kind == "head" and not self.is_receipt:
            record.setdefault("without_bodies", False)
        fits = _is(record, (_RECEIPT if self.is_receipt else _EXPORT).get(kind, "")) and len(pairs) == len(dict(pairs))
        _demand(fits and {*map(type, record.get("vkey") or ())} <= {str}, "unreadable", "no line, or a member twice")
        return dict(record)

    def entry(self, raw: bytes, place: int | None, follows: bool) -> int | None:
        """Check an entry and its link to the one before, keep what it cites and names; return the seq it states."""
        entry, broken = self.held(place, _entry, raw) or (None, [])
        place = entry["seq"] if entry and place is None else place
        self.expect(len(raw) <= 65_535, "too-large", place, f"{len(raw)} bytes")
        if entry is None or place is None:
            return None
        for code in broken:
            self.expect(False, code, place, raw[:200])
        data, kind, vkey, bodies = entry["data"], entry["kind"], entry["data"].get("vkey"), entry["bodies"]
        self.ledger = entry["ledger"] if self.ledger is None else self.ledger
        self.expect(entry["ledger"] == self.ledger, "other-ledger", place, entry["ledger"])
        genesis = f"forum-ledger/v1\n{self.ledger or entry['ledger']}".encode()
        before = self.leaf_at.get(place - 1) if place else sha256(genesis).digest()
        if follows and before and _hex(entry["prev"]):
            self.expect(entry["prev"] == before.hex(), "prev", place, f"{entry['prev']} is not {before.hex()}")
        for ref in bodies.values():
            if _hex(ref["commit"]) and 0 <= ref["size"] < 2**63:
                self.cited.setdefault(ref["commit"], []).append((place, ref["size"], ref["type"]))
        if isinstance(vkey, str) and (kind == "key.rotated" or (kind == "ledger.opened" and place == 0)):
            self.named.append((place, vkey))
        if kind in ("checkpoint.signed", "checkpoint.cosigned", "checkpoint.anchored") and "note" in bodies:
            self.signed.append((place, data.get("size"), bodies["note"]["commit"]))
        redacted = kind == "body.redacted" and not self.is_receipt
        if redacted and self.expect(_hex(data.get("commit")), "body-ref", place, "data.commit is not 64 hex"):
            self.redacted.setdefault(data["commit"], place)
        return int(entry["seq"])

    def body(self, record: _Members, place: int | None) -> bytes | None:
        """Check a body against its commitment and those who cite it; return its bytes when the commitment holds."""
        self.depth, commit, kind, salted = 2, record["commit"], record["type"], record["salt"]
        data = self.held(None, _unbase64, record["bytes"], "unreadable")
        if not self.expect(re.fullmatch("([0-9a-f]{2})*", salted), "unreadable", None, "no hex salt") or data is None:
            return None
        if not self.expect(_hex(commit), "body-mismatch", place, "a commitment that is not 64 lower-case hex"):
            return None
        refs, salt = self.cited.get(commit, []), bytes.fromhex(salted)
        seq = refs[0][0] if refs else place
        if self.expect(commit not in self.redacted, "body-redacted-but-present", seq, "it was redacted", commit):
            self.expect(refs and commit not in self.met, "body-unreferenced", seq, "not cited, or doubled", commit)
        self.met.add(commit)
        digest = sha256(b"forum-body/v1\n" + salt + kind.encode() + b"\n" + data).hexdigest()
        whole = digest == commit and len(salt) == 32 and kind.isascii()
        wrong = [ref[0] for ref in refs if ref[1:] != (len(data), kind)] if whole else [seq]
        for citing in wrong:
            self.expect(False, "body-mismatch", citing, f"{len(data)} bytes of {kind}, salted {digest}", commit)
        return data if whole else None

    def run(self) -> list[Finding]:  # verify the lines in their order, then what needs all of them
        last, place, shift, latest, follows, stated, leaf = "head", 0, 0, -1, True, None, b""
        head, records = dict[str, Any](), list[_Members]()
        shapes, form = (_AFTER_IN_RECEIPT, "forum-receipt/v1") if self.is_receipt else (_AFTER, "forum-export/v1")
        for number, line in enumerate(self.lines):
            self.depth = 1
            stood = not self.is_receipt and last in ("head", "entry") and number > 0  # a broken line, for an entry
            record = self.held(place if stood else None, self.record, line)
            kind = record["t"] if record else ""
            if number == 0:
                head = record if record and kind == "head" else {}
                self.expect(head.get("format") == form, "unreadable", None, f"the first line is no head of {form}")
                follows, self.ledger = not self.findings, head.get("ledger")
            if record is None or (number == 0 and kind == "head"):
                place, follows = place + stood, follows and number == 0
                continue
            fits = kind in shapes.get(last, "checkpoint").split()
            follows &= self.expect(fits, "unreadable", None, f"line {number + 1}: {kind} where none belongs")
            if kind == "entry":
                self.cited, self.met = ({}, set()) if self.is_receipt else (self.cited, self.met)
                raw, named = record["bytes"].encode(), None if self.is_receipt else place
                stated, leaf = self.entry(raw, named, follows or self.is_receipt), sha256(b"\0" + raw).digest()
                at = stated if self.is_receipt else place
                if stated is not None:
                    fits = stated > latest if self.is_receipt else place - stated in (0, shift)
                    self.expect(fits, "seq", at, f"entry {stated} is not at its place")
                    shift, latest = place - stated, max(latest, stated)
                if at is not None:
                    self.leaf_at[at] = leaf
                self.proofs += [(at, leaf, None)] if self.is_receipt else []
                place, follows, last = place + 1, True, kind
            elif kind == "proof" and fits:
                self.proofs[-1] = (stated, leaf, record["text"])
            elif kind == "body" and self.is_receipt and fits:
                self.body(record, stated)
            elif not self.is_receipt:
                records.append(record)
            last = kind if fits or not self.is_receipt else last
        self.expect(leaf or self.findings, "unreadable", None, "no entry")
        self.settle(head, records)
        return self.findings

    def settle(self, head: _Members, records: list[_Members]) -> None:
        """Check what needs all entries: their number, the bodies, keys and checkpoints."""
        leaves, known = list(self.leaf_at.values()), dict[tuple[int, int], bytes]()
        self.expect(head.get("size", len(leaves)) == len(leaves), "size", None, f"{len(leaves)} entries")
        found = {record["commit"]: self.body(record, None) for record in records if record["t"] == "body"}
        self.depth = 2
        if not self.is_receipt and not head.get("without_bodies"):
            for commit in self.cited.keys() - self.met - self.redacted.keys():
                self.expect(False, "body-missing", self.cited[commit][0][0], "no entry says why", commit)
        for commit, seq in self.redacted.items():
            self.expect(commit in self.cited, "body-ref", seq, "a redaction of what no entry cites", commit)
        self.depth = 3
        claimed = [vkey] if isinstance(vkey := head.get("vkey") or [], str) else vkey
        claims = [(None, key) for key in dict.fromkeys(claimed)] if self.is_receipt else self.named
        named = [(seq or 0, key) for seq, key in claims if self.held(seq, _vkey, key)]
        given = [*self.trusted] if self.is_receipt else [*self.trusted, *claimed]
        own, outside = [key for _, key in named], [key for key in dict.fromkeys(given) if self.held(None, _vkey, key)]
        for key in outside:
            self.expect(key in own or not own, "vkey", None, f"{key} is no key of the record")
        keys = (outside or own) if self.is_receipt else own + outside
        texts: list[tuple[int | None, str, object]] = [(None, text, None) for text in self.kept]
        for at, size, commit in self.signed:
            texts += [(at, data.decode("utf-8", "replace"), size) for data in [found.get(commit)] if data is not None]
        texts += [(None, record["note"], None) for record in records if record["t"] == "checkpoint"]
        roots: dict[int, bytes] = {}
        for place, leaf, proof in self.proofs:
            if not self.expect(proof is not None, "checkpoint-format", place, "no proof follows the entry"):
                continue
            index, hashes, text = self.held(place, _proof, proof) or (None, [], "")
            if index is None or not self.expect(place in (None, index), "seq", place, f"proof of entry {index}"):
                continue
            note = self.held(place, _note, text)
            if note and self.held(place, _signers, note, self.ledger, keys) is not None:
                leads = roots.get(note[2], note[3]) == note[3] == _led_to(index, note[2], leaf, hashes)
                if self.expect(leads, "checkpoint-root", place, "entry and proof do not lead to the root"):
                    roots[note[2]] = note[3]
        judged: set[str] = set()
        agreed: list[tuple[int, set[str]]] = []
        for place, text, stated in texts:
            note = self.held(place, _note, text)
            if note is None:
                continue
            size, force = note[2], [key for at, key in named if at < note[2]][-1:] or own[:1] or outside
            self.expect(stated in (None, size), "checkpoint-format", place, f"size {size}, its entry says {stated}")
            signers = None if text in judged else self.held(place, _signers, note, self.ledger, keys)
            judged.add(text)
            in_force = self.is_receipt or not force or (signers or set()) & {*force}
            if signers is None or not self.expect(in_force, "checkpoint-signature", place, "not by the key in force"):
                continue
            if self.is_receipt:
                self.expect(roots.get(size, note[3]) == note[3], "checkpoint-root", place, "another root was kept")
            elif self.expect(size <= len(leaves), "checkpoint-beyond-tail", place, f"{size} entries were signed"):
                same = _root(leaves, 0, size, known) == note[3]
                agreed += [(size, signers)] if self.expect(same, "checkpoint-root", place, "others were signed") else []
        for (_, old), (seq, new) in pairwise([] if self.is_receipt else named):
            vouched = any(size > seq and {old, new} <= signers for size, signers in agreed)
            self.expect(vouched, "vkey", seq, "no checkpoint over this entry is signed by old and new key")

def verify(lines: Sequence[bytes], level: int, kept: Sequence[str], vkeys: Sequence[str]) -> list[Finding]:
    """Return all faults of an export or a receipt, given its lines, checkpoints kept elsewhere, and trusted keys."""
    return _Verification([line.removesuffix(b"\n") for line in lines] or [b""], level, kept, vkeys).run()

def main() -> int:
    """Verify the file that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description="Verify an export or a receipt of a forum-mcp ledger.")
    parser.add_argument("file")
    parser.add_argument("--vkey", action="append", default=[], help="verifier key from the ledger's owner")
    parser.add_argument("--checkpoint", action="append", default=[], help="file of a checkpoint you kept")
    parser.add_argument("--level", type=int, choices=(1, 2, 3), default=3, help="1 chain, 2 bodies, 3 checkpoints")
    given = parser.parse_args()
    texts: list[bytes] = []
    try:
        for name in (given.file, *given.checkpoint):
            with open(name, "rb") as file:  # noqa: PTH123
                texts.append(file.read())
    except OSError as fault:
        parser.exit(3, f"{fault}\n")
    lines, kept = texts[0].removesuffix(b"\n").split(b"\n"), [text.decode("utf-8", "replace") for text in texts[1:]]
    findings = verify(lines, given.level, kept, given.vkey)
    sys.stdout.writelines(f"{code} at entry {seq}, body {body}: {why}\n" for code, seq, body, why in findings)
    sys.stdout.write(f"{len(findings) or 'no'} findings at level {given.level}\n")
    return 1 if findings else 0

if __name__ == "__main__":
    sys.exit(main())
