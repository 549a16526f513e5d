"""How far a command is kept from the machine: what is asked, how it is ordered, and in which words it is recorded.

Four levels. ``none``: a clean environment and a directory of its own, nothing else. ``rlimits``: limits of memory,
processes, processor time and files. ``landlock``: those, and the kernel shows it only the paths it may have.
``bwrap``: those, in namespaces of its own, by bubblewrap. Beside them ``network`` False: no network at all. What is
asked for and cannot be had is the outcome ``isolation-missing``; nothing weaker is taken instead.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from forum_mcp.configs.executor import ResourceSettings
from forum_mcp.executors.minder.order import Confinement, Limits

__all__ = ["SYSTEM_PATHS", "Isolation", "Place", "Sandbox", "find_bwrap"]

Sandbox = Literal["none", "rlimits", "landlock", "bwrap"]

SYSTEM_PATHS: Final = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/opt",
    "/nix/store",
    "/run/systemd/resolve",
)
"""What every sandboxed command may read and execute, where it exists."""
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_MB: Final = 1_000_000


def find_bwrap() -> str | None:
    """Return the path of bubblewrap, also the one of a Python package beside this interpreter; None without it."""
    return shutil.which("bwrap") or shutil.which("bwrap", path=str(Path(sys.executable).parent))


@dataclass(frozen=True, slots=True)
class Place:
    """Where one command runs.

    Attributes:
        directory: its working directory.
        private: what it may write below: the same, or a parent.
        made: the directory is made for it and removed after it.
        executable: the program's file.
        readable: what it may read there beside what its executor's settings say.
    """

    directory: Path
    private: Path
    made: bool
    executable: Path
    readable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Isolation:
    """What one executor's commands are kept in.

    Attributes:
        sandbox: the level.
        limits: what holds at every level but ``none``.
        network: False takes it away.
        readable: paths beside ``SYSTEM_PATHS`` that a sandboxed command may read and execute.
        writable: paths beside its own directory that it may change.
    """

    sandbox: Sandbox = "none"
    limits: ResourceSettings = field(default_factory=ResourceSettings)
    network: bool = True
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()

    @property
    def hides_files(self) -> bool:
        """Tell whether the command sees only the paths it may have."""
        return self.sandbox in ("landlock", "bwrap")

    def identity(self) -> dict[str, object]:
        """Return what is asked, as JSON; empty when nothing is."""
        if self.sandbox == "none":
            return {} if self.network else {"network": False}
        asked: dict[str, object] = {
            "sandbox": self.sandbox,
            "limits": self.limits.model_dump(),
            "network": self.network,
        }
        if self.hides_files:
            asked |= {"readable": list(self.readable), "writable": list(self.writable)}
        return asked

    def order(self, place: Place) -> Confinement:
        """Return the minder's order for a command."""
        limits: Limits | None = None
        if self.sandbox != "none":
            limits = {
                "cpu_s": self.limits.cpu_s,
                "memory_bytes": self.limits.memory_mb * _MB,
                "processes": self.limits.processes or None,
                "file_bytes": self.limits.file_mb * _MB,
                "open_files": self.limits.open_files,
            }
        return {
            "directory": str(place.directory),
            "made": place.made,
            "limits": limits,
            "landlock": None
            if self.sandbox != "landlock"
            else {
                "readable": [*self._readable(place), "/proc", "/dev"],
                "writable": [*_DEVICES, str(place.private), *self.writable],
            },
            "network": self.network or self.sandbox == "bwrap",
        }

    def wrap(self, argv: Sequence[bytes], place: Place) -> list[bytes]:
        """Return the argument vector with bubblewrap before it, where that is the level.

        Raises:
            FileNotFoundError: bubblewrap is not installed.
        """
        if self.sandbox != "bwrap":
            return list(argv)
        bwrap = find_bwrap()
        if bwrap is None:
            raise FileNotFoundError
        options = ["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"]
        options += [] if self.network else ["--unshare-net"]
        options += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108
        for path in self._readable(place):
            options += ["--ro-bind-try", path, path]
        for path in (str(place.private), *self.writable):
            options += ["--bind-try", path, path]
        options += ["--chdir", str(place.directory), "--"]
        return [os.fsencode(bwrap), *map(os.fsencode, options), *argv]

    def words(self, directory: str) -> tuple[str, ...]:
        """Return what held around a command that was begun, weakest first."""
        held = ["clean-environment", directory]
        if self.sandbox != "none":
            held.append("limits")
        if self.sandbox == "landlock":
            from forum_mcp.executors.minder import landlock  # asks the C library at import: not on every system

            held.append(f"landlock-{landlock.version()}")
        if self.sandbox == "bwrap":
            held.append("bubblewrap")
        if not self.network:
            held.append("no-network")
        return tuple(held)

    def _readable(self, place: Place) -> list[str]:
        """Return what may be read: the system, the command's own file under both its names, and what was named."""
        own = (str(place.executable), str(place.executable.resolve()))
        return [*SYSTEM_PATHS, *own, *place.readable, *self.readable]
