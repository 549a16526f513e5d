"""``forum://ledger/proofs/{seq}``: an entry's place under a signed checkpoint, small whatever the ledger's size."""

from typing import Any

import pytest
from mcp import MCPError

from forum_mcp.configs.custody import CustodySettings
from forum_mcp.configs.settings import Settings
from forum_mcp.ledger import merkle, note
from forum_mcp.ledger.checkpoint import parse
from forum_mcp.ledger.entry import leaf_hash
from forum_mcp.ledger.proof import parse_inclusion


async def test_each_entry_has_a_proof_that_leads_to_the_checkpoint_in_it(
    connect: Any, scripted_settings: Settings
) -> None:
    async with connect(scripted_settings) as forum:
        run = await forum.call("submit", request="write a poem")
        first = (await forum.client.read_resource("forum://ledger/entries/0")).contents[0].text
        vkey = first.partition('"vkey":"')[2].partition('"')[0]
        for seq in range(run["entries"][1] + 1):
            content = (await forum.client.read_resource(f"forum://ledger/proofs/{seq}")).contents[0]
            assert content.mime_type == "text/plain"
            assert len(content.text) < 8_000
            proof = parse_inclusion(content.text)
            head = parse(note.verify(proof.note, vkey).text)
            entry = (await forum.client.read_resource(f"forum://ledger/entries/{seq}")).contents[0].text.encode()
            assert proof.index == seq
            assert merkle.verify_inclusion(seq, head.size, leaf_hash(entry), proof.hashes, head.root)


@pytest.mark.parametrize("seq", ["999999", "-1", "01", "one", "0/../1"])
async def test_no_entry_has_no_proof(connect: Any, host_settings: Settings, seq: str) -> None:
    async with connect(host_settings) as forum:
        with pytest.raises(MCPError):
            await forum.client.read_resource(f"forum://ledger/proofs/{seq}")


async def test_ledger_verify_looks_for_the_witnesses_of_the_settings(connect: Any, host_settings: Settings) -> None:
    vkey = note.Signer("witness.example", bytes(32)).vkey
    settings = host_settings.model_copy(update={"custody": CustodySettings(witnesses=[vkey])})
    async with connect(settings) as forum:
        seen = await forum.call("ledger_verify")
        assert seen["clean"] is True
        assert "witness: no checkpoint known here is signed by witness.example" in seen["not_protected"]
