"""The vectors of one field in memory, and how near they are to a question."""

import sqlite3
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK = 2048  # vectors: growing by blocks never needs twice the memory
_STALE = 0.5

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]


class Matrix:
    """All vectors of a field, brought up to date before each search; rows that were deleted are passed over."""

    def __init__(self, table: str, dimensions: int) -> None:
        self._table = table
        self._dimensions = dimensions
        self._blocks: list[Floats] = []
        self._norms: list[NDArray[np.float64]] = []
        self._ids: Ids = np.empty(0, np.int64)
        self.forgotten = 0  # rows that the table has no more, and this perhaps has

    def __len__(self) -> int:
        return len(self._ids)

    def load(self, connection: sqlite3.Connection) -> None:
        """Read what was added since the last time."""
        if self.forgotten > max(_BLOCK, len(self._ids) * _STALE):
            self._blocks, self._norms, self._ids = [], [], np.empty(0, np.int64)
            self.forgotten = 0
        last = int(self._ids[-1]) if len(self._ids) else 0
        rows = connection.execute(f"SELECT n, v FROM {self._table} WHERE n > ? ORDER BY n", (last,))  # noqa: S608
        added: list[int] = []
        for n, data in rows:
            place = (len(self._ids) + len(added)) % _BLOCK
            if place == 0:
                self._blocks.append(np.zeros((_BLOCK, self._dimensions), np.float32))
                self._norms.append(np.zeros(_BLOCK, np.float64))
            vector = np.frombuffer(data, np.float32)
            self._blocks[-1][place] = vector
            self._norms[-1][place] = np.linalg.norm(vector.astype(np.float64))
            added.append(n)
        if added:
            self._ids = np.concatenate([self._ids, np.array(added, np.int64)])

    def nearest(self, question: "Sequence[float]", metric: str, among: Ids, k: int) -> list[tuple[int, float]]:
        """Give the k nearest of the rows `among` (ascending), nearest first, each with the service's score."""
        if not len(self._ids) or not len(among):
            return []
        with np.errstate(over="ignore", invalid="ignore"):
            nearness = self._nearness(np.asarray(question, np.float32), metric)
        places = np.searchsorted(among, self._ids)
        places[places == len(among)] = 0
        allowed = np.flatnonzero(among[places] == self._ids)
        if len(allowed) > k:
            allowed = allowed[np.argpartition(-nearness[allowed], k - 1)[:k]]
        order = allowed[np.lexsort((self._ids[allowed], -nearness[allowed]))]
        return [(int(self._ids[at]), score(metric, float(nearness[at]))) for at in order]

    def _nearness(self, question: Floats, metric: str) -> NDArray[np.float64]:
        found: list[NDArray[np.floating]] = []
        length = float(np.linalg.norm(question.astype(np.float64)))
        for block, norms in zip(self._blocks, self._norms, strict=True):
            # Not @: its threads cost more than they bring where all processors are at work.
            products = np.einsum("ij,j->i", block, question)
            if metric == "cosine":
                sizes = norms * length
                products = np.divide(products, sizes, out=np.zeros_like(products), where=sizes > 0)
            elif metric == "euclidean":
                products = -np.linalg.norm(block - question, axis=1)
            found.append(products)
        # A product can be too large for 32 bits: then it is the largest there is, and still a JSON number.
        return np.nan_to_num(np.concatenate(found)[: len(self._ids)]).astype(np.float64)


def score(metric: str, nearness: float) -> float:
    """Turn nearness into @search.score: 1 / (1 + distance), as documented for cosine.

    Above a dot product of 1, which only vectors that are not normalised reach, there is no documented formula; the
    score goes on rising with the product.
    """
    match metric:
        case "cosine":
            return 1 / (2 - min(nearness, 1.0))
        case "dotProduct":
            return 1 / (2 - nearness) if nearness <= 1 else nearness
        case "euclidean":
            return 1 / (1 - nearness)
        case _:
            raise AssertionError(metric)
