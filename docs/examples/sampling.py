"""Have the connected client's model do the work, offline: ``python docs/examples/sampling.py``.

The server and a client of the SDK run in one process; the client lends its model (here a function) by MCP sampling.
"""

import sys
import warnings
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, MCPDeprecationWarning
from mcp.client import ClientRequestContext

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.server.app import build_server

SETTINGS = Settings(
    ledger=":memory:",
    executors={"client": ExecutorSettings(type="sampling", attempts=1)},
    roles=RoleSettings(coordinator=["rules"], worker=["client"], validator=["rules"], synthesizer=["rules"]),
)


async def model(
    context: ClientRequestContext, params: types.CreateMessageRequestParams
) -> types.CreateMessageResult | types.ErrorData:
    """Answer as the client's model would; a real client asks its person first."""
    del context
    text = types.TextContent(type="text", text=f"a reply of at most {params.max_tokens} tokens")
    return types.CreateMessageResult(role="assistant", content=text, model="the-client-s-own", stop_reason="endTurn")


def connected(era: str, *, lends: bool) -> Client:
    """Return a client of a protocol era before a server of its own."""
    server = build_server(lambda: Orchestrator.open(SETTINGS))
    return Client(server, mode=era, sampling_callback=model if lends else None)


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """Call a tool and return what it says."""
    return (await client.call_tool(tool, arguments)).structured_content or {}


async def main() -> bool:
    """Return whether both protocol eras get the work done, a client without sampling is told, and all verifies."""
    found: list[str] = []
    for era, lends in (("auto", True), ("legacy", True), ("auto", False)):
        async with connected(era, lends=lends) as client:
            run = await call(client, "submit", request="Write a haiku about autumn.", single=True)
            [task] = run["tasks"]
            print(f"{client.protocol_version}: {run['state']}, {task['served'] or task['error']}: {run['answer']}")
            verified = await call(client, "ledger_verify", level=4)
            print(f"{verified['size']} entries, {'clean' if verified['clean'] else verified['findings']}")
            found.append(str(task["served"] or task["error"]) if verified["clean"] else "not clean")
    return found == ["the-client-s-own", "the-client-s-own", "sampling-missing"]


if __name__ == "__main__":
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    sys.exit(0 if anyio.run(main) else 1)
