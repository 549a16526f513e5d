"""A stranger's client, through the installed wheel: it uses the MCP SDK alone and cannot import the package.

In both protocol eras it lists the tools, routes a request, submits one of three parts, sees it done (by a model if the
server has one, else by handing work back itself), reads every entry of the run as a resource, and verifies the ledger
from the checkpoint that came with the result. usage: client.py COMMAND [ARGUMENT ...]
"""

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

ROUTED = "build the database schema and the auth endpoint"
PARTS = "1. Write one sentence about readmes. 2. Write one sentence about css. 3. Write one sentence about databases."


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """Call a tool that must succeed; return its structured content."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    assert result.structured_content is not None, result
    return result.structured_content


async def text_of(client: Client, uri: str) -> str:
    """Return a text resource."""
    (content,) = (await client.read_resource(uri)).contents
    text: str = content.text  # type: ignore[union-attr]
    return text


async def finish(client: Client, run: dict[str, Any]) -> dict[str, Any]:
    """Follow what the server says comes next until the run is over."""
    handed_back = 0
    while (upcoming := run["next"]) is not None:
        if upcoming["tool"] == "work":
            for item in (await call(client, "work", **upcoming["arguments"], limit=2))["items"]:
                await call(client, "work", action="complete", item=item["item"], result=f"done: {item['task']}")
                handed_back += 1
        run = await call(client, "run", run_id=run["run_id"], wait_s=20)
    print(f"  run {run['state']}: {len(run['tasks'])} tasks, {handed_back} handed back by this client")
    assert run["state"] == "succeeded", run
    assert len(run["tasks"]) == 3, run
    return run


async def check_entries(client: Client, run: dict[str, Any]) -> None:
    """Read every entry of the run as a resource: exact bytes, linked by their hashes."""
    first, last = run["entries"]
    previous = ""
    for seq in range(first, last + 1):
        raw = await text_of(client, f"forum://ledger/entries/{seq}")
        entry = json.loads(raw)
        assert entry["run"] == run["run_id"], entry
        assert previous in ("", entry["prev"]), entry
        previous = hashlib.sha256(b"\x00" + raw.encode()).hexdigest()
    verified = await call(client, "ledger_verify", level=4, checkpoint=run["checkpoint"])
    assert verified["clean"], verified
    print(f"  {last + 1 - first} entries read as resources; {verified['size']} verify at level {verified['level']}")


async def main(command: str, arguments: list[str]) -> None:
    """Talk to the server in both protocol eras."""
    for mode in ("auto", "legacy"):
        with tempfile.TemporaryDirectory() as scratch, anyio.fail_after(400):
            # The SDK passes on next to nothing of the environment; uv needs its cache and the system's certificates.
            words = [*arguments, "--ledger", str(Path(scratch) / "ledger.db")]
            server = StdioServerParameters(command=command, args=words, env=dict(os.environ))
            async with Client(server, mode=mode) as client:
                tools = [tool.name for tool in (await client.list_tools()).tools]
                routed = await call(client, "route", request=ROUTED)
                assert routed["lane"] == "backend", routed
                print(f"{mode}: {len(tools)} tools ({' '.join(tools)}); route -> {routed['lane']}")
                run = await finish(client, await call(client, "submit", request=PARTS, wait_s=5))
                await check_entries(client, run)


anyio.run(main, sys.argv[1], sys.argv[2:])
