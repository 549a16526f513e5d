"""Removing a directory that a command worked in, whatever it did to it (standard library only)."""

import contextlib
import os
import shutil
from pathlib import Path

__all__ = ["remove_tree"]


def remove_tree(directory: str | Path) -> None:
    """Remove a directory with all below it, directories that may not be written included; never fails.

    Whoever could change it meanwhile is gone. A link in its place is removed, not followed.
    """
    path = Path(directory)
    if path.is_symlink():
        with contextlib.suppress(OSError):
            path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        return
    # Module caches are read-only, and a command may lock itself out: only root does not notice.
    with contextlib.suppress(OSError):
        path.chmod(0o700)
    for place, names, _ in os.walk(path):
        for each in (Path(place, name) for name in names):
            with contextlib.suppress(OSError):
                if not each.is_symlink():
                    each.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
