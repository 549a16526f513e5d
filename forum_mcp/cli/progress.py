"""What a person at a terminal sees while something takes long: what it is, how long, how far. Nothing else sees it."""

import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from forum_mcp.cli.terminal import is_live

if TYPE_CHECKING:
    from threading import Event

__all__ = ["Meter", "counted", "progress"]

T = TypeVar("T")

_AFTER_S: Final = 1.0
_REFRESH_S: Final = 0.1


class Meter:
    """How many things are done, of how many (0: nobody knows); written by the work, read by what draws."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0

    def on_progress(self, done: int, total: int) -> None:
        """Take note of how far the work is; an ``engine.progress.OnProgress``."""
        self.done, self.total = done, total


@contextmanager
def progress(what: str, *, after_s: float = _AFTER_S, quiet: bool = False) -> Generator[Meter]:
    """Draw a line on stderr while the block runs, once it has taken ``after_s`` seconds.

    Only on a terminal, and not if ``quiet``. What draws is loaded then: a quick command does not pay for it.
    """
    meter = Meter()
    if quiet or not is_live(sys.stderr):
        yield meter
        return
    import threading

    over = threading.Event()
    drawer = threading.Thread(target=_draw, args=(what, meter, over, after_s), name="progress", daemon=True)
    drawer.start()
    try:
        yield meter
    finally:
        over.set()
        drawer.join()


def counted(things: Iterable[T], meter: Meter) -> Iterator[T]:
    """Yield the things and count them."""
    for thing in things:
        yield thing
        meter.done += 1


def _draw(what: str, meter: Meter, over: "Event", after_s: float) -> None:
    if over.wait(after_s):
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[count]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None, count="")
        while not over.wait(_REFRESH_S):
            done, total = meter.done, meter.total
            part = f" of {total:,}  {min(100, 100 * done // total)} %" if total else ""
            progress.update(
                task, completed=min(done, total), total=total or None, count=f"{done:,}{part}" if done else ""
            )
