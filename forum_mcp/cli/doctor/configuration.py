"""The configuration: which files count, whether it works, and which clients know this server."""

import os
import shutil
from pathlib import Path

from forum_mcp.cli.doctor.lines import Line, Patient, fail, fine, warn
from forum_mcp.configs.files import config_files
from forum_mcp.configs.paths import shown, state_dir
from forum_mcp.errors import ForumError

__all__ = ["clients", "configuration"]


async def configuration(patient: Patient) -> list[Line]:
    """Tell the files that count, what of them does not, and whether the whole works."""
    from forum_mcp.engine.readiness import checked

    lines: list[Line] = []
    try:
        for file in config_files(patient.flags.config or os.environ.get("FORUM_CONFIG"), cwd=patient.cwd):
            if remark := file.remark():
                what, _, fix = remark.rpartition("; ")
                lines.append(warn("configuration", what, fix))
            else:
                lines.append(fine("configuration", f"{file.name} ({file.kind})"))
        variables = sorted(name for name in os.environ if name.startswith("FORUM_"))
        if variables:
            lines.append(fine("configuration", f"from the environment: {', '.join(variables)}"))
        ready = checked(patient.flags, cwd=patient.cwd)
    except ForumError as error:
        what, _, fix = str(error).rpartition("; ")
        return [*lines, fail("configuration", what or fix, fix if what else "mend it")]
    workers = ", ".join(ready.roles["worker"])
    lines.append(fine("configuration", f"it works: {ready.executors} executors, {ready.lanes} lanes, worker {workers}"))
    lines.append(fine("state", shown(state_dir())))
    return lines


async def clients(patient: Patient) -> list[Line]:
    """Tell which clients know this server, and whether what they would start is there."""
    from forum_mcp.cli.clients.files import registered
    from forum_mcp.cli.clients.table import CLIENTS

    lines: list[Line] = []
    for client in CLIENTS:
        places: list[Path] = [client.user()]
        if client.project is not None:
            places.append(patient.cwd / client.project)
        for path in dict.fromkeys(places):
            found = registered(client, path, "forum")
            area, again = f"client {client.name}", f"forum-mcp install {client.name}"
            if found.state == "ours" and shutil.which(found.words[0]) is None:
                lines.append(fail(area, f"{shown(path)} starts {found.words[0]}, which is not there", again))
            elif found.state == "ours" and not Path(found.words[0]).is_absolute():
                told = f"{shown(path)} starts {found.words[0]} by name, which a desktop program may not find"
                lines.append(warn(area, told, again))
            elif found.state == "ours":
                lines.append(fine(area, shown(path)))
            elif found.state == "other":
                lines.append(fine(area, f"{shown(path)} has another server called forum"))
            elif found.state == "broken":
                lines.append(warn(area, found.why.partition("; nothing was changed")[0], "mend that file"))
    if not any(line.status == "ok" for line in lines):
        lines.append(warn("clients", "no client knows this server", "see which there are: forum-mcp install"))
    return lines
