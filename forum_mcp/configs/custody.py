"""The table ``[custody]`` of the configuration: how a ledger is signed, witnessed and kept small. Loads nothing else.

A dataclass, so that ``ledger`` commands can read it without the rest of the settings, and the settings can hold it.
"""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, cast

from forum_mcp.configs.files import config_files
from forum_mcp.errors import ConfigRefused

__all__ = ["CustodySettings", "custody_of", "find_custody"]

_EVERY_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class CustodySettings:
    """How a ledger is looked after.

    Attributes:
        checkpoint_every: a signed checkpoint is recorded with every so many entries; 0 is never.
        witnesses: C2SP vkeys of third parties whose signatures count.
        keep_days: what ``ledger prune`` takes for its age when none is given; None keeps bodies for ever.
        warn_mb: a ledger larger than this is spoken of when it is opened, 10^6 bytes; 0 is never.
    """

    checkpoint_every: int = 1000
    witnesses: list[str] = field(default_factory=list[str])
    keep_days: int | None = None
    warn_mb: int = 2000


def custody_of(table: object, where: str, text: str = "") -> CustodySettings:
    """Return the settings of a parsed table; ``where`` and ``text`` are of the file it stands in, for messages.

    Raises:
        ConfigRefused: an unknown key, a wrong type or a number out of range.
    """
    from forum_mcp.configs.lines import nearest, placed_at  # most machines have no such table

    if not isinstance(table, dict):
        at = placed_at(where, text, ("custody",))
        raise ConfigRefused(f"'custody' in {at} is no table; write [custody] and its keys below it")
    given = cast("dict[str, object]", table)
    known = [each.name for each in fields(CustodySettings)]
    for name in given:
        if name not in known:
            raise ConfigRefused(
                f"'custody.{name}' in {placed_at(where, text, ('custody', name))} is no setting; "
                f"unknown keys are refused; {nearest(name, known)}"
            )
    found = given.get("witnesses", [])
    witnesses = cast("list[object]", found) if isinstance(found, list) else [None]
    if not all(isinstance(each, str) for each in witnesses):
        at = placed_at(where, text, ("custody", "witnesses"))
        raise ConfigRefused(f"'custody.witnesses' in {at} is refused; expected a list of verifier keys")
    keep = given.get("keep_days")
    return CustodySettings(
        checkpoint_every=_number(given, "checkpoint_every", 1000, _EVERY_MAX, where, text),
        witnesses=[str(each) for each in witnesses],
        keep_days=None if keep is None else _number(given, "keep_days", 0, 100_000, where, text),
        warn_mb=_number(given, "warn_mb", 2000, 10**9, where, text),
    )


def find_custody(config: str | None, *, cwd: Path | None = None) -> CustodySettings:
    """Return the settings of the strongest configuration file that has a table ``[custody]``, else the defaults.

    Raises:
        ConfigRefused: a file is not TOML, or the table has a fault.
    """
    for file in config_files(config or os.environ.get("FORUM_CONFIG"), cwd=cwd or Path.cwd()):
        table = file.counting().get("custody")
        if remark := file.remark():
            import logging  # as much as the rest of this module, and seldom needed

            logging.getLogger(__name__).warning("%s", remark)
        if table is not None:
            return custody_of(table, file.name, file.text)
    return CustodySettings()


def _number(given: dict[str, object], name: str, default: int, most: int, where: str, text: str) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        from forum_mcp.configs.lines import placed_at

        at = placed_at(where, text, ("custody", name))
        raise ConfigRefused(f"'custody.{name}' in {at} is {value!a}; expected a whole number from 0 to {most}")
    return value
