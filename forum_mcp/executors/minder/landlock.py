"""Landlock: a process takes the right to touch files away from itself and from all it will ever start.

Three system calls by number (the same on every architecture) and two packed structures, as in ``linux/landlock.h``.
Everything the kernel's version can handle is handled, so that a newer kernel holds more and an older one less: the
version that held is part of what is recorded.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["restrict", "version"]

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_TRUNCATE: Final = 1 << 14
_IOCTL_DEV: Final = 1 << 15
_OF_A_FILE: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READING: Final = _EXECUTE | _READ_FILE | _READ_DIR
# Rights each version of the kernel's interface added, oldest first: 1, 2 (refer), 3 (truncate), 4, 5 (ioctl).
_RIGHTS: Final = ((1 << 13) - 1, 1 << 13, _TRUNCATE, 0, _IOCTL_DEV)
# From version 6: no abstract unix socket and no signal reaches what was not started by the process itself.
_SCOPES: Final = 0b11
_SCOPES_SINCE: Final = 6

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of the kernel's interface, 1 or more.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    return _call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def restrict(readable: Sequence[str], writable: Sequence[str]) -> None:
    """Leave this process only these paths and what is below them; a path that does not exist is passed over.

    ``readable`` may be read and executed, ``writable`` also changed.

    Raises:
        OSError: Landlock is not to be had; nothing was restricted.
    """
    present = version()
    rights = 0
    for added in _RIGHTS[:present]:
        rights |= added
    # landlock_ruleset_attr: rights to files, to the network, scopes. An older kernel knows a shorter one.
    asked = struct.pack("=QQQ", rights, 0, _SCOPES) if present >= _SCOPES_SINCE else struct.pack("=Q", rights)
    ruleset = _call(_CREATE_RULESET, asked, len(asked), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READING & rights)
        for path in writable:
            _allow(ruleset, path, rights)
        if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs was refused")
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_A_FILE
        # landlock_path_beneath_attr, packed: rights, descriptor.
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make the system call; every argument that is a number is passed as a long.

    Raises:
        OSError: it failed.
    """
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *passed))
    if result < 0:
        raise OSError(ctypes.get_errno(), "a Landlock call was refused")
    return result
