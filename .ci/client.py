"""A stranger's client: start the server named on the command line, shake hands, list the tools, route a request.

Uses the MCP SDK alone; the package under test is not importable here. usage: client.py COMMAND [ARGUMENT ...]
"""

import os
import sys

import anyio
from mcp import Client, StdioServerParameters

REQUEST = "build the database schema and the auth endpoint"


async def main(command: str, arguments: list[str]) -> None:
    """Talk to the server in both protocol eras."""
    for mode in ("auto", "legacy"):
        # The SDK passes on next to nothing of the environment; uv needs its cache and the system's certificates.
        server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
        with anyio.fail_after(120):
            async with Client(server, mode=mode) as client:
                tools = [tool.name for tool in (await client.list_tools()).tools]
                routed = await client.call_tool("route", {"request": REQUEST})
        assert routed.structured_content is not None
        assert routed.structured_content["lane"] == "backend", routed
        print(f"{mode}: {len(tools)} tools ({' '.join(tools)}); route -> {routed.structured_content['lane']}")


anyio.run(main, sys.argv[1], sys.argv[2:])
