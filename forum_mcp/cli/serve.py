"""``forum-mcp serve``: one server over HTTP for several clients, and the door to the daemon."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from forum_mcp.cli.options import AsJson, ReadOnly, Tools, with_flags
from forum_mcp.cli.terminal import note
from forum_mcp.configs.flags import Flags
from forum_mcp.errors import ConfigRefused, RequestRefused

if TYPE_CHECKING:
    from forum_mcp.server.auth import Authenticator
    from forum_mcp.server.http import HttpServer, Listener
    from forum_mcp.server.http_gate import Gate, Places, Resource

__all__ = ["HttpOptions", "register", "speak_http"]

_HOST = "127.0.0.1"
_PORT = 8731


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How to serve over HTTP; the members are the flags of ``forum-mcp serve``."""

    host: str = _HOST
    port: int = _PORT
    token: str | None = None
    no_auth: bool = False
    allow_remote: bool = False
    allow_host: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    public_url: str | None = None
    issuer: str | None = None
    jwks: str | None = None
    tools: str = "all"
    read_only: bool = False


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(with_flags(serve))


def serve(
    ctx: typer.Context,
    flags: Flags,
    detach: Annotated[bool, typer.Option("--detach", help="Start the daemon of these settings.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show your daemons and the runs they hold.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop your daemons; their runs can be resumed.")] = False,
    idle: Annotated[
        float, typer.Option("--idle", metavar="MIN", min=0.01, help="End after so many minutes without a run.")
    ] = 10.0,
    as_json: AsJson = False,
    http: Annotated[bool, typer.Option("--http", help="Serve MCP over streamable HTTP, at /mcp.")] = False,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = _HOST,
    port: Annotated[int, typer.Option("--port", metavar="PORT", help="Port to listen on; 0 picks a free one.")] = _PORT,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="REF",
            help="Bearer token: env:NAME or file:PATH. Else FORUM_TOKEN, else a file made on first use.",
            show_default=False,
        ),
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Ask for no token; on this machine only.")] = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let other machines connect: needed for a --host beyond loopback.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME[:PORT]", help="A name clients use in Host.", show_default=False),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", metavar="ORIGIN", help="An origin whose pages may call.", show_default=False),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            "--public-url", metavar="URL", help="Where clients reach this server, from outside.", show_default=False
        ),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            "--issuer", metavar="URL", help="Take OAuth tokens (JWT) of this issuer instead.", show_default=False
        ),
    ] = None,
    jwks: Annotated[
        str | None,
        typer.Option("--jwks", metavar="PLACE", help="Its keys: an https URL or file:PATH.", show_default=False),
    ] = None,
    tools: Tools = "all",
    read_only: ReadOnly = False,
) -> None:
    """Serve several clients over HTTP; or hold runs in a process of their own (submit --detach starts it too)."""
    del ctx
    if http + detach + status + stop != 1:
        raise RequestRefused(
            "say what to serve: serve --http for clients; for the daemon serve --detach, serve --status or serve --stop"
        )
    if not http:
        from forum_mcp.cli.daemon import hold_runs

        return hold_runs(flags, detach=detach, stop=stop, idle_min=idle, as_json=as_json)
    options = HttpOptions(
        host=host,
        port=port,
        token=token,
        no_auth=no_auth,
        allow_remote=allow_remote,
        allow_host=tuple(allow_host or ()),
        origin=tuple(origin or ()),
        public_url=public_url,
        issuer=issuer,
        jwks=jwks,
        tools=tools,
        read_only=read_only,
    )
    raise typer.Exit(speak_http(flags, options))


def speak_http(flags: Flags, options: HttpOptions, make: "type[HttpServer] | None" = None) -> int:
    """Serve over HTTP; return the exit code.

    Args:
        flags: where the settings are.
        options: how to serve.
        make: the class of the server, where it is another than the product's.

    Raises:
        ConfigRefused: the options or the settings do not make a server; nothing was served.
    """
    _refuse_open_doors(options)
    from forum_mcp.configs.load import load
    from forum_mcp.engine.orchestrator import Orchestrator
    from forum_mcp.server.http import HttpServer, gate_of, listen, serve_http

    settings = load(flags)
    server = (make or HttpServer)(lambda: Orchestrator.open(settings), tools=options.tools, read_only=options.read_only)
    listener = listen(options.host, options.port)
    try:
        authenticator, resource, told = _auth(options, listener)
        gate: Gate = gate_of(server, _places(options, listener), authenticator, resource)
        return serve_http(gate, listener, lambda: note(f"forum-mcp: serving {listener.url}/mcp; {told}"))
    finally:
        listener.socket.close()


def _refuse_open_doors(options: HttpOptions) -> None:
    from forum_mcp.server.http import is_loopback

    if options.no_auth and (options.token or options.issuer):
        raise ConfigRefused("--no-auth stands beside --token or --issuer; leave one out")
    if options.issuer and options.token:
        raise ConfigRefused("--issuer and --token are two ways to say who may call; leave one out")
    if bool(options.issuer) != bool(options.jwks):
        raise ConfigRefused("--issuer and --jwks go together: whose tokens, and the keys to check them with")
    for each in (options.public_url, *options.origin):
        if each is not None and (urlsplit(each).scheme not in ("http", "https") or not urlsplit(each).netloc):
            raise ConfigRefused(f"{each[:80]!r} is no URL such as https://forum.example")
    for each in options.origin:
        if each != f"{urlsplit(each).scheme}://{urlsplit(each).netloc}":
            raise ConfigRefused(f"the origin {each[:80]!r} has more than scheme, host and port; leave the rest out")
    if is_loopback(options.host):
        return
    if options.no_auth:
        raise ConfigRefused(
            f"--host {options.host[:80]} with --no-auth would let anybody on the network run your models and commands; "
            "leave --no-auth out"
        )
    if not options.allow_remote:
        raise ConfigRefused(
            f"--host {options.host[:80]} can be reached from other machines; say that you mean it with --allow-remote, "
            "and put TLS in front, since tokens would travel in the clear"
        )
    if not options.allow_host and options.public_url is None:
        raise ConfigRefused(
            "a server for other machines has to know its own names, the Host header is checked; "
            "give --public-url or --allow-host"
        )


def _auth(options: HttpOptions, listener: "Listener") -> "tuple[Authenticator | None, Resource | None, str]":
    from forum_mcp.server.auth import OneToken, token_of
    from forum_mcp.server.http_gate import MCP_PATH, Resource

    if options.no_auth:
        return None, None, "no token is asked for"
    if options.issuer is not None and options.jwks is not None:
        from forum_mcp.server.auth_jwt import JwtTokens, KeySet

        root = (options.public_url or listener.url).rstrip("/").removesuffix(MCP_PATH)
        resource = Resource(root + MCP_PATH, options.issuer)
        tokens = JwtTokens(KeySet(options.jwks), issuer=options.issuer, audience=resource.url)
        return tokens, resource, f"tokens of {options.issuer} for {resource.url}"
    token, place = token_of(options.token, os.environ)
    return OneToken(token), None, f"bearer token: {place}"


def _places(options: HttpOptions, listener: "Listener") -> "Places":
    from forum_mcp.server.http import is_loopback
    from forum_mcp.server.http_gate import Places

    port = listener.socket.getsockname()[1]
    names = {"127.0.0.1", "localhost", "[::1]"} if is_loopback(options.host) else set[str]()
    names.add(urlsplit(listener.url).netloc.rpartition(":")[0])
    hosts = {f"{name}:{port}" for name in names} | {given.lower() for given in options.allow_host}
    origins = {f"http://{host}" for host in hosts if is_loopback(options.host)} | set(options.origin)
    if options.public_url is not None:
        public = urlsplit(options.public_url)
        hosts.add(public.netloc.lower())
        origins.add(f"{public.scheme}://{public.netloc.lower()}")
    return Places(frozenset(hosts), frozenset(origins))
