"""The exceptions whose message the command prints: bad input exits with code 2, a stopped training with 75."""


class InputError(Exception):
    """Something the user gave is unusable. The message is one line: what, where, what to do."""


class Stopped(InputError):
    """The user or a queue stopped a training, which has saved and can go on. The message is one line."""


def shortened(text: str, longest: int = 80) -> str:
    """A name for a message: in one line, unprintable characters as Python writes them, and cut where it is too long."""
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def shown(value: object) -> str:
    """The value as Python writes it, for a message: in one line, and cut where it is long."""
    if isinstance(value, str) and len(value) > 80:
        return f"{value[:80]!r}… ({len(value):,} characters)"
    try:
        return shortened(" ".join(repr(value).splitlines()))
    except (ValueError, RecursionError):  # an int of thousands of digits; lists in lists in lists
        return f"something too large to show ({type(value).__name__})"
