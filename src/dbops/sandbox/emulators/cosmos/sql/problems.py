"""What the language refuses: a query that is wrong, and one that this emulator cannot answer."""


class Invalid(Exception):
    """The service would refuse this query too (400)."""


class Unsupported(Exception):
    """The service may know this; the emulator does not (501). The text is the feature's name."""
