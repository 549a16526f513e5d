"""Text that was given on the command line, whatever locale Python took it for."""

__all__ = ["heard", "spoken"]


def spoken(text: str) -> str:
    """Return the text of an argument. Where Python could not read its bytes by the locale, they are read as UTF-8.

    What is not UTF-8 either stays as it is, and is refused where text is needed. Not for paths, whose bytes are kept.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        return text


def heard(text: str | None) -> str | None:
    """Return the text of an argument that may be left out: the callback of one."""
    return None if text is None else spoken(text)
