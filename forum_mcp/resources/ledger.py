"""``forum://ledger/...``: entries and bodies as their exact bytes, proofs, the newest entries and checkpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from forum_mcp.resources.base import ALWAYS_S, JSON, SEQ, Content, Family

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["FAMILIES", "RECENT"]

RECENT: Final = 50
"""Entries of ``forum://ledger/recent``."""


async def _read_entry(forum: Forum, seq: str) -> Content:
    return Content(forum.ledger.raw(int(seq)).decode(), JSON)


async def _read_body(forum: Forum, commit: str) -> Content:
    body = forum.ledger.body(commit)
    if _is_text(body.type):
        try:
            return Content(body.data.decode(), body.type)
        except UnicodeDecodeError:
            pass
    return Content(body.data, body.type)


async def _read_proof(forum: Forum, seq: str) -> Content:
    return Content(forum.ledger.proof(int(seq)), "text/plain")


async def _read_checkpoint(forum: Forum, variable: str) -> Content:
    return Content(forum.ledger.checkpoint(), "text/plain")


async def _read_recent(forum: Forum, variable: str) -> Content:
    return Content(json.dumps(forum.ledger.show(limit=RECENT).to_dict(), ensure_ascii=False), JSON)


def _is_text(media_type: str) -> bool:
    kind = media_type.partition(";")[0]
    return kind.startswith("text/") or kind == JSON or kind.endswith(("+json", "+xml"))


FAMILIES = (
    Family(
        uri="forum://ledger/checkpoint",
        name="checkpoint",
        title="Newest checkpoint",
        description="Signed note over the whole ledger; keep it, ledger_verify takes it back",
        media_type="text/plain",
        read=_read_checkpoint,
    ),
    Family(
        uri="forum://ledger/recent",
        name="recent",
        title="Newest entries",
        description="The newest entries as people read them, newest last",
        media_type=JSON,
        read=_read_recent,
    ),
    Family(
        uri="forum://ledger/entries/{seq}",
        name="entry",
        title="Ledger entry",
        description="The exact bytes that are hashed: SHA-256 of 0x00 and these is the leaf",
        media_type=JSON,
        read=_read_entry,
        variable=SEQ,
        fresh_s=ALWAYS_S,
    ),
    Family(
        uri="forum://ledger/proofs/{seq}",
        name="proof",
        title="Proof of an entry",
        description="C2SP tlog-proof: the entry's place under the newest signed checkpoint",
        media_type="text/plain",
        read=_read_proof,
        variable=SEQ,
        fresh_s=60,
    ),
    Family(
        uri="forum://ledger/bodies/{commit}",
        name="body",
        title="Body",
        description="The plain bytes of a commitment that an entry cites",
        media_type=None,
        read=_read_body,
        variable="[0-9a-f]{64}",
        fresh_s=60,  # it never changes, but it may be redacted
    ),
)
