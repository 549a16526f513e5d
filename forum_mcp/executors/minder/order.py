"""The order a minder gets for one command: where it runs, and what holds it. It travels as JSON."""

from typing import TypedDict

__all__ = ["Confinement", "Limits", "Paths"]


class Limits(TypedDict):
    """What a command and all it starts may take.

    The processor time is seconds a process; memory is bytes of data a process (RLIMIT_DATA) and together (watched);
    processes (and threads; None is any number) are held by a control group for root and by RLIMIT_NPROC for others;
    files are of so many bytes and open so many at a time, a process.
    """

    cpu_s: int
    memory_bytes: int
    processes: int | None
    file_bytes: int
    open_files: int


class Paths(TypedDict):
    """What a command may reach under Landlock."""

    readable: list[str]
    writable: list[str]


class Confinement(TypedDict):
    """Where a command runs and what holds it.

    ``made``: ``directory`` is made for the command and removed after it, else it is there and stays. ``network``
    False leaves it no network, loopback included.
    """

    directory: str
    made: bool
    limits: Limits | None
    landlock: Paths | None
    network: bool
