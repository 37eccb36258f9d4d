"""Let bash complete a line whose common options stand before the verb: Typer only knows them behind it."""

import os
import shlex
from collections.abc import Callable, Sequence


def prepare(hoisted: Callable[[Sequence[str]], list[str]]) -> None:
    """Rewrite what bash has told us, as the program rewrites its arguments."""
    try:
        words = shlex.split(os.environ["COMP_WORDS"])
        here = int(os.environ["COMP_CWORD"])
    except (KeyError, ValueError):  # another shell, or a quote that is still open
        return
    before, typed = hoisted(words[1:here]), words[here:]
    os.environ["COMP_WORDS"] = shlex.join([*words[:1], *before, *typed])
    os.environ["COMP_CWORD"] = str(len(before) + 1)
