"""Python source into its tree, by one thread at a time.

Python 3.11 counts how deep it is in a tree for all threads together: a finalizer that lets another thread run in
between makes it count wrong, and raise SystemError.
"""

import ast
import threading

_ONE = threading.Lock()


def parsed(source: str) -> ast.Module:
    with _ONE:
        return ast.parse(source)


def expression(source: str) -> ast.expr:
    with _ONE:
        return ast.parse(source, mode="eval").body
