"""Verification of a ledger from its disk: levels 1 to 3 by the pure room, level 4 by the rules.

It opens what is damaged, writes nothing, and answers with findings; only a missing file is an error.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forum_mcp.engine.progress import OnProgress, no_progress
from forum_mcp.engine.views import FindingView, VerifyView
from forum_mcp.errors import LedgerError, NotFound, RequestRefused
from forum_mcp.ledger.finding import Finding, Report
from forum_mcp.ledger.verify import Source, verify
from forum_mcp.stores.base import Store
from forum_mcp.stores.recognition import is_export
from forum_mcp.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from forum_mcp.engine.signing import Signing

__all__ = ["rederived", "report_of", "verify_open", "verify_path", "verify_view"]

_DECISIONS: Final = 4
_FINDINGS_SHOWN: Final = 200


def verify_path(
    path: str | Path,
    level: int = 3,
    checkpoint: str | Sequence[str] | None = None,
    *,
    vkeys: Sequence[str] = (),
    witnesses: Sequence[str] = (),
    on_progress: OnProgress = no_progress,
) -> VerifyView:
    """Verify a ledger file or an export whatever its state; it is not opened as a ledger and nothing is created.

    Args:
        path: the file.
        level: 1 chain, 2 and bodies, 3 and checkpoints, 4 and decisions.
        checkpoint: signed notes kept from earlier, one or several.
        vkeys: verifier keys the caller has from elsewhere.
        witnesses: verifier keys of third parties; their signatures on checkpoints are checked.
        on_progress: told how far it is, in entries; level 4 reads them a second time.

    Raises:
        LedgerMissing: no such file.
        LedgerUnreadable: a directory, or no right to read it.
        RequestRefused: no such level.
    """
    from forum_mcp.stores.export_source import open_source  # a ledger that opens does without

    file = Path(path).expanduser()
    with open_source(file) as source:
        report = report_of(
            source,
            level,
            checkpoint,
            vkeys,
            witnesses,
            partial(_over_all_passes, on_progress, level, source.claimed_size or 0),
        )
    if level >= _DECISIONS:
        from forum_mcp.stores.export_file import ExportStore

        try:
            store = ExportStore.open(file) if is_export(file) else SqliteStore.open(file, read_only=True)
        except LedgerError as error:
            report = _not_rederived(report, str(error))
        else:
            try:
                report = rederived(report, store, on_progress)
            finally:
                store.close()
    return verify_view(report, report.newest_checkpoint)


def verify_open(
    store: Store,
    signing: "Signing",
    level: int,
    checkpoint: str | Sequence[str] | None,
    vkeys: Sequence[str],
    witnesses: Sequence[str],
    on_progress: OnProgress = no_progress,
) -> VerifyView:
    """Verify an open ledger from its disk; arguments as of ``verify_path``, and what its signer remembers counts.

    Raises:
        LedgerMissing: the file has gone.
        RequestRefused: no such level.
    """
    told = partial(_over_all_passes, on_progress, level, store.size())
    with store.source() as source:
        report = report_of(source, level, checkpoint, vkeys, witnesses, told)
    if level >= _DECISIONS:
        with store.anew() as fresh:
            report = rederived(report, fresh, on_progress)
    report = signing.judged(report)
    return verify_view(report, signing.newest_note() if report.clean else report.newest_checkpoint)


def report_of(
    source: Source,
    level: int,
    checkpoint: str | Sequence[str] | None,
    vkeys: Sequence[str],
    witnesses: Sequence[str] = (),
    told: Callable[[int], None] | None = None,
) -> Report:
    """Return the report of a source up to level 3; ``told`` hears how many entries are checked.

    Raises:
        RequestRefused: level is not 1 to 4.
    """
    if not 1 <= level <= _DECISIONS:
        raise RequestRefused(f"level {level} is refused: expected 1 chain, 2 bodies, 3 checkpoints or 4 decisions")
    given = () if checkpoint is None else checkpoint
    return verify(
        source, level=min(level, _DECISIONS - 1), checkpoints=given, vkeys=vkeys, witnesses=witnesses, on_progress=told
    )


def rederived(report: Report, store: Store, on_progress: OnProgress = no_progress) -> Report:
    """Return the report with level 4: each recorded decision made again from the entries before it."""
    from forum_mcp.engine.rederive import findings

    try:
        found, counts = findings(store, lambda done: on_progress(report.size + done, 2 * report.size))
    except (LedgerError, NotFound) as error:
        return _not_rederived(report, str(error))
    holds = () if found else ("decisions: each recorded decision that can be made again is the one recorded",)
    return report.deepened(_DECISIONS, found, counts=counts, holds=holds)


def _over_all_passes(on_progress: OnProgress, level: int, size: int, done: int) -> None:
    """Tell how many entries of all passes are done."""
    on_progress(done, size * (2 if level >= _DECISIONS else 1))


def _not_rederived(report: Report, why: str) -> Report:
    fault = Finding("unreadable", None, None, "a record that decisions can be made from again", why[:500])
    return report.deepened(_DECISIONS, () if report.total else (fault,), not_protected=("decisions: not checked",))


def verify_view(report: Report, checkpoint: str | None) -> VerifyView:
    """Return a report as every surface answers it; ``checkpoint`` is the note to keep from now on."""
    return VerifyView(
        clean=report.clean,
        level=report.level,
        ledger=report.ledger or "",
        size=report.size,
        root=report.root.hex(),
        findings=[
            FindingView(
                code=finding.code,
                seq=finding.seq,
                body=finding.body,
                expected=finding.expected,
                found=finding.found,
            )
            for finding in report.findings[:_FINDINGS_SHOWN]
        ],
        findings_total=report.total,
        counts=dict(report.counts),
        holds=list(report.holds),
        not_protected=list(report.not_protected),
        checkpoint=checkpoint,
    )
