"""The error that bad input raises."""


class DataError(ValueError):
    """Input that cannot be used as it is.

    The message is one sentence or two for the person who brought the input: it
    names the file (or the id), the field, and what to do about it.
    """
