"""Checkpoints outside the ledger: signatures of third parties taken in, and checkpoints put where they are kept.

"Witness" is said only of a third party: the ledger's own key never counts as one.
"""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.reading import entry_view
from forum_mcp.engine.views import EntryView, View
from forum_mcp.errors import CheckpointRefused, NoteError, NotFound, RequestRefused
from forum_mcp.ledger import checkpoint as checkpoints
from forum_mcp.ledger import note
from forum_mcp.ledger.cosignature import Cosigned, cosigned, parse_witness
from forum_mcp.ledger.entry import Draft, NewBody
from forum_mcp.stores.files import replace_file

__all__ = ["CosignedView", "anchor_command", "anchor_file", "anchor_git", "cosign", "cosignatures"]

_TEXT: Final = "text/plain; charset=utf-8"
_TIMEOUT_S: Final = 60.0
_WHERE_MAX: Final = 300


class CosignedView(View, frozen=True, kw_only=True):
    """A cosigned checkpoint of the record.

    Attributes:
        witnesses: known witnesses whose signature holds -> the time each states, seconds since 1970 or None.
        unknown: names on signature lines of which no key is known: nothing is shown by them.
        fault: why it counts for nothing, or None.
    """

    seq: int
    size: int
    witnesses: dict[str, int | None]
    unknown: list[str]
    fault: str | None


def cosign(ledger: Ledger, text: str, witnesses: Sequence[str] = ()) -> EntryView:
    """Keep a checkpoint of this ledger that came back with signatures of third parties, on record.

    Args:
        ledger: open for writing.
        text: the signed note.
        witnesses: vkeys of known witnesses; without any, the signatures are kept and not checked.

    Raises:
        NoteError: malformed, not signed by this ledger's key, or a known witness's signature that does not hold.
        CheckpointRefused: the ledger does not continue this checkpoint.
        RequestRefused: nobody but this ledger's key has signed, or none of the known witnesses has.
    """
    parsed, head = _own(ledger, text)
    found = cosigned(parsed, [parse_witness(each) for each in witnesses])
    if not _others(ledger, parsed):
        raise RequestRefused(
            "this checkpoint is signed by the ledger alone; give the note that a third party signed too"
        )
    if witnesses and not found:
        raise RequestRefused("none of the known witnesses signed this checkpoint; give the key of the one that did")
    draft = Draft(
        "checkpoint.cosigned",
        "person:local",
        {"size": head.size, "witnesses": sorted({each.name[:200] for each in found})},
        {"note": NewBody(_TEXT, text.encode())},
    )
    return entry_view(ledger.store, ledger.store.transact(lambda tx: tx.append(draft, run=None, at_us=ledger.now_us())))


def cosignatures(ledger: Ledger, witnesses: Sequence[str] = (), limit: int = 20) -> list[CosignedView]:
    """Return the newest cosigned checkpoints of the record, newest last, each checked again against the ledger.

    Raises:
        NoteError: one of ``witnesses`` is no vkey.
    """
    keys = [parse_witness(each) for each in witnesses]
    views: list[CosignedView] = []
    for entry in ledger.show(kind="checkpoint.cosigned", limit=limit).entries:
        found: list[Cosigned] = []
        unknown: list[str] = []
        fault: str | None = None
        try:
            text = ledger.body(str(entry.bodies["note"]["commit"])).data.decode()
            parsed, _ = _own(ledger, text)
            found = cosigned(parsed, keys)
            names = {each.name for each in found}
            unknown = [name for name in _others(ledger, parsed) if name not in names]
        except (NoteError, CheckpointRefused, NotFound, KeyError, UnicodeDecodeError) as error:
            fault = str(error)
        views.append(
            CosignedView(
                seq=entry.seq,
                size=int(str(entry.data.get("size", 0))),
                witnesses={each.name: each.time_s for each in found},
                unknown=unknown,
                fault=fault,
            )
        )
    return views


def anchor_file(ledger: Ledger, path: str | Path) -> EntryView:
    """Write the checkpoint to a file, in one step, and record that. A checkpoint that stands there is checked first.

    Raises:
        CheckpointRefused: the file holds a checkpoint that this ledger does not continue; it is left as it is.
        RequestRefused: the file holds something else, or cannot be written.
    """
    file = Path(path).expanduser()
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else None
        if before is not None:
            try:
                _own(ledger, before)
            except NoteError as error:
                raise RequestRefused(
                    f"'{file.name}' is left as it is; it holds something else than a checkpoint of this ledger; "
                    "name another file"
                ) from error
        text = ledger.checkpoint()
        replace_file(file.absolute(), text.encode())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds something else than a checkpoint"
        raise RequestRefused(f"'{file.name}' cannot be written; {why}; name another file") from error
    return _anchored(ledger, text, "file", str(path))


def anchor_git(ledger: Ledger, ref: str, directory: Path) -> EntryView:
    """Write the checkpoint into the git repository around ``directory``: ``tag:NAME``, or ``notes`` on HEAD.

    Raises:
        RequestRefused: neither form, or git refused.
    """
    kind, _, name = ref.partition(":")
    if kind == "tag" and name and not name.startswith("-"):
        argv = ["git", "tag", "--annotate", "--cleanup=verbatim", "--file=-", "--", name]
    elif kind == "notes" and not name.startswith("-"):
        argv = ["git", "notes", f"--ref={name or 'forum-mcp'}", "append", "--file=-", "HEAD"]
    else:
        raise RequestRefused(f"--git {ref[:80]!a} is refused; expected tag:NAME, notes or notes:REF; choose one")
    text = ledger.checkpoint()
    _run(argv, text, directory)
    return _anchored(ledger, text, "git", ref)


def anchor_command(ledger: Ledger, command: str, directory: Path) -> EntryView:
    """Hand the checkpoint to a command on stdin; exit code 0 is "kept". Only the program's name is recorded.

    Raises:
        RequestRefused: no command, or it failed.
    """
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise RequestRefused(f"--cmd cannot be split; {str(error).lower()}; quote it as for a shell") from error
    if not argv:
        raise RequestRefused("--cmd is empty; give a program that keeps what it reads on stdin")
    text = ledger.checkpoint()
    _run(argv, text, directory)
    return _anchored(ledger, text, "command", Path(argv[0]).name)


def _own(ledger: Ledger, text: str) -> tuple[note.Note, checkpoints.Checkpoint]:
    """Return a checkpoint that this ledger's key signed and that this ledger continues."""
    parsed = note.verify(text, _own_keys(ledger))
    head = checkpoints.parse(parsed.text)
    if head.origin != checkpoints.origin_of(ledger.ledger_id):
        raise NoteError(f"a checkpoint of {head.origin[:100]!a} is refused: expected one of ledger {ledger.ledger_id}")
    if head.size > ledger.size:
        raise CheckpointRefused(
            f"the checkpoint is over {head.size} entries, this ledger has {ledger.size}: its tail is gone, or an older "
            "copy is back; put the newer ledger back"
        )
    root = ledger.root(head.size)
    if root != head.root:
        raise CheckpointRefused(
            f"the checkpoint has root {head.root.hex()} over {head.size} entries, this ledger {root.hex()}: history "
            "was rewritten; keep the checkpoint, it is the proof"
        )
    return parsed, head


def _own_keys(ledger: Ledger) -> list[str]:
    rotated = [str(entry.data.get("vkey")) for entry in ledger.show(kind="key.rotated", limit=1000).entries]
    return [str(ledger.entry(0).data.get("vkey")), *rotated]


def _others(ledger: Ledger, parsed: note.Note) -> list[str]:
    """Return the key names of the signature lines that are not this ledger's, each once."""
    own = checkpoints.origin_of(ledger.ledger_id)
    return list(dict.fromkeys(line.name for line in parsed.signatures if line.name != own))


def _anchored(ledger: Ledger, text: str, by: str, where: str) -> EntryView:
    size = checkpoints.parse(note.parse(text).text).size
    facts = {"size": size, "by": by, "where": where[:_WHERE_MAX]}
    draft = Draft("checkpoint.anchored", "person:local", facts, {"note": NewBody(_TEXT, text.encode())})
    return entry_view(ledger.store, ledger.store.transact(lambda tx: tx.append(draft, run=None, at_us=ledger.now_us())))


def _run(argv: list[str], text: str, directory: Path) -> None:
    try:
        done = subprocess.run(
            argv, input=text.encode(), capture_output=True, timeout=_TIMEOUT_S, cwd=directory, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequestRefused(f"nothing is anchored; {Path(argv[0]).name} did not run: {error}; mend that") from error
    if done.returncode != 0:
        why = done.stderr.decode("utf-8", "replace").strip()[:300] or "it said nothing"
        raise RequestRefused(
            f"nothing is anchored; {Path(argv[0]).name} ended with {done.returncode}: {why}; mend that"
        )
