"""``ledger verify`` itself, without the command line's library: a script that verifies pays for the verification.

``plain`` reads the words of its everyday form; whatever it does not know is left to the library, which also has the
help and the refusals.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from forum_mcp.cli.places import kept_checkpoint, meant, opened
from forum_mcp.cli.terminal import emit, emit_json, is_live, note, one_line
from forum_mcp.engine.progress import OnProgress, no_progress
from forum_mcp.engine.views import FindingView, VerifyView
from forum_mcp.errors import ConfigRefused, LedgerUnreadable, RequestRefused

__all__ = ["Asked", "findings", "plain", "verify_and_tell"]

_SHOWN: Final = 50
_LEVELS: Final = ("1", "2", "3", "4")


@dataclass(slots=True, kw_only=True)
class Asked:
    """What a person asked to verify; each member is the option of its name."""

    ledger: str | None = None
    config: str | None = None
    level: int = 3
    since: str | None = None
    receipt: str | None = None
    growth: str | None = None
    vkeys: list[str] = field(default_factory=list[str])
    witnesses: list[str] | None = None
    as_json: bool = False


def plain(words: Sequence[str]) -> Asked | None:
    """Return what the words after ``ledger verify`` ask, or None when there is more to them than options and values."""
    asked = Asked()
    rest = iter(words)
    for word in rest:
        if word == "--json":
            asked.as_json = True
            continue
        value = next(rest, None)
        if value is None or value.startswith("-"):
            return None
        if word == "--ledger":
            asked.ledger = value
        elif word == "--since":
            asked.since = value
        elif word == "--vkey":
            asked.vkeys.append(value)
        elif word == "--level" and value in _LEVELS:
            asked.level = int(value)
        else:
            return None
    return asked


def verify_and_tell(asked: Asked) -> int:
    """Verify, print the verdict and return the exit code: 0 clean, 1 findings.

    Raises:
        LedgerError: what is to be verified cannot be read. InvalidInput: options that do not fit together.
    """
    kept = kept_checkpoint(asked.since) if asked.since is not None else None
    keys, third = asked.vkeys, _witnesses(asked.witnesses, asked.config)
    subject = f"{{}} entries of ledger {{}}, level {asked.level}"
    if asked.receipt is not None and asked.growth is not None:
        raise RequestRefused("--receipt and --growth are given together; each is a file of its own; give one")
    if asked.receipt is not None:
        from forum_mcp.engine.receipts import verify_receipt

        view = verify_receipt(asked.receipt, asked.level, kept, vkeys=keys, witnesses=third)
    elif asked.growth is not None:
        from forum_mcp.engine.receipts import verify_growth

        if kept is None:
            raise RequestRefused("--growth shows nothing by itself; give the checkpoint that you kept with --since")
        view = verify_growth(asked.growth, kept, vkeys=keys, witnesses=third)
        subject = "growth to {} entries of ledger {}"
    else:
        view = _verified(meant(asked.ledger, asked.config), asked.level, kept, keys, third)
    if asked.as_json:
        emit_json(view.to_dict())
    else:
        for line in _verdict(view, subject.format(view.size, view.ledger or "unknown")):
            emit(line)
    return 0 if view.clean else 1


def _witnesses(given: list[str] | None, config: str | None) -> list[str]:
    """Return the witnesses given, else those of the configuration: one that is broken stops no verification."""
    if given is not None:
        return given
    from forum_mcp.configs.custody import find_custody

    try:
        return find_custody(config).witnesses
    except ConfigRefused as fault:
        note(f"the witnesses of the configuration are not known: {fault}")
        return []


def _verified(path: str, level: int, kept: str | None, vkeys: Sequence[str], witnesses: Sequence[str]) -> VerifyView:
    """Verify, and say so on a terminal while it takes long; nobody else pays for that."""
    if not is_live(sys.stderr):
        return _recomputed(path, level, kept, vkeys, witnesses)
    from forum_mcp.cli.progress import progress

    with progress(f"verifying, level {level}") as meter:
        return _recomputed(path, level, kept, vkeys, witnesses, meter.on_progress)


def _recomputed(
    path: str,
    level: int,
    kept: str | None,
    vkeys: Sequence[str],
    witnesses: Sequence[str],
    on_progress: OnProgress = no_progress,
) -> VerifyView:
    """Verify an intact ledger as every surface does; one that is too damaged to open, as the file it is."""
    from forum_mcp.engine.verifying import verify_path

    try:
        with opened(path) as record:
            return record.verify(level, kept, vkeys=vkeys, witnesses=witnesses, on_progress=on_progress)
    except LedgerUnreadable:
        return verify_path(path, level, kept, vkeys=vkeys, witnesses=witnesses, on_progress=on_progress)


def _verdict(view: VerifyView, subject: str) -> Iterator[str]:
    word = "clean" if view.clean else f"{view.findings_total} finding{'s' if view.findings_total > 1 else ''}"
    yield f"{word}: {subject}"
    yield f"root {view.root}"
    yield from findings(view.findings)
    if view.findings_total > len(view.findings):
        yield f"  ... and {view.findings_total - len(view.findings)} more"
    yield "  ".join(f"{name} {count}" for name, count in view.counts.items())
    for line in view.holds:
        yield f"holds: {line}"
    for line in view.not_protected:
        yield f"does not hold: {line}"


def findings(found: list[FindingView]) -> Iterator[str]:
    """Yield one line for each finding: what, where, expected and found."""
    for finding in found[:_SHOWN]:
        where = f"entry {finding.seq}" if finding.seq is not None else "ledger"
        if finding.body is not None:
            where += f", body {finding.body[:16]}"
        yield f"  {finding.code} at {where}: expected {finding.expected}, found {one_line(finding.found, 160)}"
