"""The ranges of numbers that come from outside, and checks that look before anything is allocated, cast or looped over.

Every range is stated here, with its unit and what it is for, and nowhere else.
"""

LONGEST_QUOTE = 80  # characters of a cell or name that a message shows


def cut(text: object) -> str:
    """`text` as a message quotes it: in quotation marks, with its length where it is longer than LONGEST_QUOTE."""
    text = str(text)
    if len(text) <= LONGEST_QUOTE:
        return repr(text)
    return f"{text[:LONGEST_QUOTE]!r}… ({len(text):,} characters)"
