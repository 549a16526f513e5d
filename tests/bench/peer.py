"""The peer, ``forum-engine`` from PyPI (dependency group ``bench``), through the few calls that are measured."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol, cast

__all__ = ["STORES", "Peer", "PeerStore", "missing", "open_peer", "peer_version"]

STORES = ("file", "sqlite")


class PeerStore(Protocol):
    """One of its storages."""

    def sync(self) -> None: ...


class Peer(Protocol):
    """Its ledger."""

    def append(self, *, actor: str, kind: str, payload: object, causal_parent: int | None = None) -> object: ...
    def verify(self, *, deep: bool = False) -> bool: ...
    def checkpoint(self) -> str: ...


class _Makes(Protocol):
    def __call__(self, place: str, *, fsync_each: bool = True) -> PeerStore: ...


def missing() -> bool:
    """Tell whether the peer is not installed."""
    try:
        version("forum-engine")
    except PackageNotFoundError:
        return True
    return False


def peer_version() -> str:
    """Return the version that is installed."""
    return version("forum-engine")


def open_peer(store: str, place: Path, *, durable: bool = True) -> tuple[Peer, PeerStore]:
    """Open its ledger; ``store``: ``file`` (a directory of JSON Lines) or ``sqlite``."""
    module, name = {"file": ("forum.storage", "FileStorage"), "sqlite": ("forum.sqlite_storage", "SqliteStorage")}[
        store
    ]
    storage = cast("_Makes", getattr(import_module(module), name))(str(place), fsync_each=durable)
    ledger = getattr(import_module("forum.ledger"), "Ledger")  # noqa: B009 - it has no types to import
    return cast("Peer", ledger(storage)), storage
