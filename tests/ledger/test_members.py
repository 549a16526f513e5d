import msgspec
import pytest

from forum_mcp.errors import EntryRefused
from forum_mcp.ledger.entry import ENTRY_MAX_BYTES, BodyRef, Entry, LedgerId, RunId
from forum_mcp.ledger.members import is_media_type, seal

GOOD = Entry("engine", 1, {}, {"t_ms": 0}, "run.started", LedgerId("0" * 32), [0, 2], "0" * 64, RunId("1" * 32), 3, 1)


def test_a_fit_entry_is_sealed_into_its_canonical_bytes() -> None:
    assert seal(GOOD) == (
        b'{"actor":"engine","at":1,"bodies":{},"data":{"t_ms":0},"kind":"run.started","ledger":"' + b"0" * 32
        + b'","parents":[0,2],"prev":"' + b"0" * 64 + b'","run":"' + b"1" * 32 + b'","seq":3,"v":1}'
    )  # fmt: skip


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"actor": ""}, "0 characters"),
        ({"actor": "\ud800"}, "lone surrogate"),
        ({"at": 2**53}, "at within"),
        ({"data": {"cost": 0.5}}, "data: cost is the float 0.5"),
        ({"data": {"é": 1}}, "not an ASCII string"),
        ({"data": {"text": "\udc00"}}, "lone surrogate"),
        ({"kind": "Run.Started"}, "dotted lower-case"),
        ({"kind": "started"}, "dotted lower-case"),
        ({"ledger": "x"}, "ledger id of 32"),
        ({"prev": "0"}, "prev of 64"),
        ({"run": ""}, "run of 32"),
        ({"seq": -1}, "seq from 0"),
        ({"parents": [3]}, "parents from 0 to 2"),
        ({"parents": [1, 0]}, "ascending"),
        ({"v": 2}, "v 1"),
        ({"bodies": {"x": BodyRef("0", 1, "text/plain")}}, "64 lower-case hex"),
        ({"bodies": {"x": BodyRef("0" * 64, 1, "TEXT")}}, "media type"),
        ({"bodies": {"ä": BodyRef("0" * 64, 1, "text/plain")}}, "in ASCII"),
    ],
    ids=str,
)
def test_an_unfit_entry_is_refused_with_what_was_expected(members: dict[str, object], words: str) -> None:
    with pytest.raises(EntryRefused, match=words):
        seal(msgspec.structs.replace(GOOD, **members))


def test_an_entry_may_have_65_535_bytes_and_not_one_more() -> None:
    room = ENTRY_MAX_BYTES - len(seal(msgspec.structs.replace(GOOD, data={"x": ""})))
    assert len(seal(msgspec.structs.replace(GOOD, data={"x": "x" * room}))) == ENTRY_MAX_BYTES
    with pytest.raises(EntryRefused, match="65536 bytes; expected at most 65535, so put long text into a body"):
        seal(msgspec.structs.replace(GOOD, data={"x": "x" * (room + 1)}))


@pytest.mark.parametrize("text", ["text/plain", "text/plain; charset=utf-8", "application/vnd.forum+json", "x" * 100])
def test_a_media_type_is_accepted(text: str) -> None:
    assert is_media_type(text)


@pytest.mark.parametrize(
    "text",
    ["", "x" * 101, "Text/plain", "text/plain ; a=b", "text/plain;  a", " text", "a\tb", "a\nb", "é/é", "text/plain\n"],
)
def test_a_text_that_is_no_media_type_is_refused(text: str) -> None:
    assert not is_media_type(text)
