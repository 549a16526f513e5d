"""A client of the FastMCP library does what clients do. usage: fastmcp_client.py COMMAND ARGUMENT...|URL"""

# The library is of another environment: nothing is known of its types here.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

import os
import sys
from typing import Any

import anyio
from fastmcp import Client  # type: ignore[import-not-found,unused-ignore]
from fastmcp.client.transports import (  # type: ignore[import-not-found,unused-ignore]
    StdioTransport,
    StreamableHttpTransport,
)


async def main(*words: str) -> None:
    command, *arguments = words
    lines: list[str] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        lines.append(message or "")

    if command.startswith("http:"):
        transport: Any = StreamableHttpTransport(command, auth=os.environ["FORUM_TOKEN"])
    else:
        transport = StdioTransport(command=command, args=arguments)
    async with Client(transport, progress_handler=told) as client:
        assert len(await client.list_tools()) == 10
        route: Any = await client.call_tool("route", {"request": "build the database schema"})
        assert route.structured_content["chosen"]
        run: Any = (await client.call_tool("submit", {"request": "write a poem", "single": True})).structured_content
        assert run["state"] == "succeeded"
        assert any(" done, " in line for line in lines), lines
        read: Any = await client.read_resource(f"forum://runs/{run['run_id']}")
        assert run["run_id"] in read[0].text
        waiting: Any = await client.call_tool("submit", {"request": "wait", "single": True, "wait_s": 0})
        run_id = waiting.structured_content["run_id"]
        with anyio.move_on_after(0.2) as scope:
            await client.call_tool("run", {"run_id": run_id, "wait_s": 60})
        assert scope.cancelled_caught
        over: Any = await client.call_tool("run_control", {"run_id": run_id, "action": "cancel"})
        assert over.structured_content["state"] == "cancelled"
        verified: Any = await client.call_tool("ledger_verify", {"level": 4, "checkpoint": run["checkpoint"]})
        assert verified.structured_content["clean"] is True
    print(f"fastmcp: listed, called, told of progress ({len(lines)}), read, cancelled, verified")


anyio.run(main, *sys.argv[1:])
