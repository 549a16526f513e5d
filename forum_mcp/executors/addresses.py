"""Where a model server is: the base of its API, and how far a request to it travels."""

import ipaddress
from typing import Final

import httpx2

from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Egress

__all__ = ["base_of", "egress_of"]

_LAN_SUFFIXES: Final = (".local", ".lan", ".internal", ".home.arpa")


def egress_of(host: str) -> Egress:
    """Return how far a request to this host of a URL travels; a name that does not say is ``internet``."""
    name = host.rstrip(".").lower().strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if name == "localhost" or name.endswith(".localhost"):
            return "none"
        return "lan" if name.endswith(_LAN_SUFFIXES) else "internet"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # Connecting to the unspecified address reaches this machine.
    if address.is_loopback or address.is_unspecified:
        return "none"
    return "lan" if address.is_private or address.is_link_local else "internet"


def base_of(url: str, endpoint: str) -> tuple[str | None, httpx2.URL]:
    """Return the unix socket, if any, and the base of the API, without ``endpoint`` and a slash at its end.

    Raises:
        ConfigRefused: not an http, https or unix URL, or one with credentials, a query or a fragment.
    """
    if url.startswith("unix:/"):
        return "/" + url.removeprefix("unix:").lstrip("/"), httpx2.URL("http://localhost/v1")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise ConfigRefused("the url is not a URL; give something like http://127.0.0.1:8080/v1") from None
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ConfigRefused("the url holds credentials, a query or a fragment; a key belongs into api_key")
    if parsed.scheme not in ("http", "https") or not parsed.host or (parsed.port or 1) > 65_535:
        raise ConfigRefused(f"the url {url!r} is not an http, https or unix URL")
    path = parsed.path.rstrip("/").removesuffix(endpoint)
    return None, parsed.copy_with(path=path or "/v1")
