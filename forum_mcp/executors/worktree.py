"""A git worktree for one task: the files of the repository's HEAD, and afterwards what the task made of them.

The patch is taken against the commit the worktree began with, from an index of our own, so it holds whatever the
command staged, committed or left lying about. Git runs with the repository's directory named outright and with no
program of anybody's choosing (hooks, external diffs, file-system monitors): by then the files are not to be trusted.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from forum_mcp.executors.child import LaunchFailed
from forum_mcp.executors.minder.removal import remove_tree
from forum_mcp.executors.process import Ended, Launcher, Limits, unconfined

__all__ = ["PATCH_MAX_BYTES", "Repository", "Worktree", "WorktreeFailed"]

PATCH_MAX_BYTES: Final = 8_388_608
_GIT_TIMEOUT_S: Final = 120.0
_NAME: Final = "forum-"
_QUIET: Final = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.untrackedCache=false"),
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "advice.detachedHead=false"),
    *("-c", "gc.auto=0"),
)


class WorktreeFailed(Exception):
    """Git did not do what was asked; the text says what it said.

    Attributes:
        too_large: the patch exceeds ``PATCH_MAX_BYTES``.
    """

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


@dataclass(frozen=True, slots=True)
class Worktree:
    """One worktree.

    Attributes:
        base: private directory that holds everything of it; the command may write below it.
        tree: the files; the command's working directory.
        commit: what it began with, 40 or 64 hex.
        git_dir: the repository's common git directory.
    """

    base: Path
    tree: Path
    commit: str
    git_dir: Path


class Repository:
    """One repository from which worktrees are taken, by the ``git`` on ``PATH``."""

    def __init__(self, path: str, launcher: Launcher, environ: Mapping[str, str]) -> None:
        self._path = path
        self._launcher = launcher
        kept = {name: environ[name] for name in ("PATH", "HOME", "LANG") if name in environ}
        # The user's configuration may sign commits or rewrite line ends; a patch is to show the bytes.
        self._env = {**kept, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}
        self._swept = False
        self._lock = anyio.Lock()

    async def check_out(self) -> Worktree:
        """Make a worktree of HEAD.

        Raises:
            WorktreeFailed: there is no git, no repository, or no commit in it.
        """
        git_dir = await self._git_dir()
        commit = (await self._git("rev-parse", "--verify", "HEAD^{commit}")).strip()
        base = Path(tempfile.gettempdir()) / f"{_NAME}{os.getpid()}-{secrets.token_hex(8)}"
        base.mkdir(mode=0o700)
        worktree = Worktree(base, base / "tree", commit, git_dir)
        try:
            async with self._lock:
                if not self._swept:
                    self._swept = True
                    await self._sweep(git_dir)
                await self._git("worktree", "add", "--quiet", "--detach", str(worktree.tree), commit)
        except BaseException:
            await self.remove(worktree)
            raise
        return worktree

    async def patch(self, worktree: Worktree) -> bytes:
        """Return what changed, as ``git apply`` takes it; empty when nothing did.

        Raises:
            WorktreeFailed: git failed, or the patch is larger than ``PATCH_MAX_BYTES``.
        """
        env = {"GIT_INDEX_FILE": str(worktree.base / "index")}
        at = (f"--git-dir={worktree.git_dir}", f"--work-tree={worktree.tree}")
        await self._git("read-tree", worktree.commit, at=at, env=env)
        await self._git("add", "--all", ".", at=at, env=env, cwd=worktree.tree)
        options = ("--cached", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
        ended = await self._run(("diff", *options, worktree.commit), at=at, env=env, cwd=worktree.tree)
        if ended.cut == "output-limit":
            raise WorktreeFailed(f"it is larger than {PATCH_MAX_BYTES} bytes", too_large=True)
        return _said(ended, "diff")

    async def remove(self, worktree: Worktree) -> None:
        """Remove the worktree and its entry in the repository; cannot be cancelled and never fails."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_remove, worktree.tree, worktree.git_dir)

    async def _sweep(self, git_dir: Path) -> None:
        """Remove what a process of ours that was killed left behind."""
        listed = await self._git("worktree", "list", "--porcelain")
        for line in listed.splitlines():
            tree = Path(line.removeprefix("worktree "))
            owner = tree.parent.name.removeprefix(_NAME).partition("-")[0]
            ours = line.startswith("worktree ") and tree.name == "tree" and tree.parent.name.startswith(_NAME)
            # What is not here may be of another container, where the process lives.
            if ours and tree.parent.is_dir() and owner.isdigit() and not _lives(int(owner)):
                await anyio.to_thread.run_sync(_remove, tree, git_dir)

    async def _git_dir(self) -> Path:
        return Path((await self._git("rev-parse", "--path-format=absolute", "--git-common-dir")).strip())

    async def _git(
        self, *words: str, at: tuple[str, ...] = (), env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> str:
        ended = await self._run(words, at=at, env=env or {}, cwd=cwd)
        return _said(ended, words[0]).decode("utf-8", "surrogateescape")

    async def _run(
        self, words: tuple[str, ...], *, at: tuple[str, ...], env: Mapping[str, str], cwd: Path | None
    ) -> Ended:
        git = shutil.which("git", path=self._env.get("PATH", os.defpath))
        if git is None:
            raise WorktreeFailed("git is not installed")
        order = unconfined(cwd or Path(self._path))
        order["made"] = False
        try:
            return await self._launcher.run(
                [os.fsencode(word) for word in (git, *_QUIET, *at, *words)],
                env={**self._env, **env},
                stdin=None,
                limits=Limits(timeout_s=_GIT_TIMEOUT_S, stdout_bytes=PATCH_MAX_BYTES),
                confinement=order,
            )
        except LaunchFailed as fault:
            raise WorktreeFailed(f"git cannot be run in the repository: {fault}") from None


def _said(ended: Ended, what: str) -> bytes:
    if ended.exit_code != 0 or ended.cut is not None:
        why = ended.stderr.decode("utf-8", "replace").strip()[-300:] or "it was ended"
        raise WorktreeFailed(f"git {what} failed: {why}")
    return ended.stdout


def _remove(tree: Path, git_dir: Path) -> None:
    """Remove a worktree, and its entry in the repository: git would keep that until its next collection.

    Not by ``git worktree remove``, which refuses what the command broke or locked.
    """
    remove_tree(tree.parent)
    for entry in git_dir.glob("worktrees/*/gitdir"):
        with contextlib.suppress(OSError):
            if Path(entry.read_text("utf-8").strip()) == tree / ".git":
                shutil.rmtree(entry.parent, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
