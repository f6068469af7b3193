"""The exceptions whose message the command prints: bad input exits with code 2, a stopped training with 75."""


class InputError(Exception):
    """Something the user gave is unusable. The message is one line: what, where, what to do."""


class Stopped(InputError):
    """The user or a queue stopped a training, which has saved and can go on. The message is one line."""
