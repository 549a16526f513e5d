"""Links that ask a client to add the server: one click in a page, one question in the client."""

import json
from base64 import b64encode
from typing import Final
from urllib.parse import quote

from forum_mcp.cli.clients.table import Client, Launch

__all__ = ["deep_link", "web_link"]

_CURSOR: Final = "mcp/install?name={name}&config={config}"


def deep_link(client: Client, name: str, launch: Launch) -> str | None:
    """Return the link that the client itself opens, or None when it has none."""
    if client.name == "cursor":
        return f"cursor://anysphere.cursor-deeplink/{_CURSOR.format(name=quote(name), config=_base64(client, launch))}"
    if client.name == "vscode":
        return "vscode:mcp/install?" + quote(_json({"name": name, **client.write(launch)}), safe="")
    return None


def web_link(client: Client, name: str, launch: Launch) -> str | None:
    """Return a link for pages that refuse other schemes than https, or None."""
    if client.name == "cursor":
        return f"https://cursor.com/en/install-mcp?name={quote(name)}&config={_base64(client, launch)}"
    if client.name == "vscode":
        config = quote(_json(client.write(launch)), safe="")
        return f"https://insiders.vscode.dev/redirect/mcp/install?name={quote(name)}&config={config}"
    return None


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _base64(client: Client, launch: Launch) -> str:
    return quote(b64encode(_json(client.write(launch)).encode()).decode(), safe="")
