"""What a query is answered with when it gets no documents."""


class Invalid(Exception):
    """The service would answer 400, with this message."""


class Unsupported(Exception):
    """The service could do this and the emulator cannot: 501 with the name of the feature, never a wrong answer."""
