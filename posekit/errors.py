"""The one exception for bad input: the command prints its message and exits with code 2."""


class InputError(Exception):
    """Something the user gave is unusable. The message is one line: what, where, what to do."""
