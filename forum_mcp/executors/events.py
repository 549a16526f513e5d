"""Server-sent events, as far as model servers use them (WHATWG HTML, 9.2.6): bytes in, pairs of event and data out."""

__all__ = ["EventStream"]


class EventStream:
    """Takes bytes as they arrive, cut anywhere; what is not complete waits for the rest."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._event = ""
        self._data: list[str] = []

    def feed(self, part: bytes) -> list[tuple[str, str]]:
        """Return the events that are complete with these bytes: name (empty when none was given) and data."""
        self._rest += part
        if b"\n" not in part and b"\r" not in part:
            return []
        # A carriage return at the end may be half of a line end: it waits.
        held = self._rest.endswith(b"\r")
        text = bytes(self._rest[:-1] if held else self._rest)
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = bytearray(lines.pop() + (b"\r" if held else b""))
        found: list[tuple[str, str]] = []
        for line in lines:
            self._take(line.decode("utf-8", "replace"), found)
        return found

    def close(self) -> list[tuple[str, str]]:
        """Return what a stream that ends without its last empty line still holds."""
        return self.feed(b"\n\n") if self._rest or self._data else []

    def _take(self, line: str, found: list[tuple[str, str]]) -> None:
        if not line:
            if self._data:
                found.append((self._event, "\n".join(self._data)))
            self._event, self._data = "", []
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
