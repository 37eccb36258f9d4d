"""Indexes that several files ask."""

from collections.abc import Iterator

import pytest

from questions import Index, field, index, vector


@pytest.fixture
def hotels() -> Iterator[Index]:
    rooms = field(
        "rooms",
        "Collection(Edm.ComplexType)",
        fields=[
            field("type"),
            field("rate", "Edm.Double"),
            field("beds", "Edm.Int32"),
            field("smoking", "Edm.Boolean"),
            field("tags", "Collection(Edm.String)"),
            field("note", filterable=False, facetable=False),
        ],
    )
    address = field("address", "Edm.ComplexType", fields=[field("city"), field("zip", "Edm.Int64")])
    with index(
        field("name"),
        field("stars", "Edm.Int32"),
        field("score", "Edm.Double"),
        field("open", "Edm.Boolean"),
        field("built", "Edm.DateTimeOffset"),
        field("tags", "Collection(Edm.String)"),
        field("years", "Collection(Edm.Int32)"),
        field("flags", "Collection(Edm.Boolean)"),
        field("place", "Edm.GeographyPoint"),
        field("secret", retrievable=False),
        field("plain", filterable=False, sortable=False, facetable=False),
        address,
        rooms,
        vector("v", 2),
    ) as built:
        built.put(
            {
                "id": "1",
                "name": "Alpha's",
                "stars": 5,
                "score": 4.5,
                "open": True,
                "built": "1999-12-31T23:00:00-01:00",
                "tags": ["pool", "bar"],
                "years": [1999, 2010],
                "flags": [True, False],
                "secret": "s",
                "v": [1, 2],
                "address": {"city": "Rome", "zip": 5_000_000_000},
                "rooms": [
                    {"type": "suite", "rate": 300.5, "beds": 2, "smoking": False, "tags": ["view"], "note": "n"},
                    {"type": "single", "rate": 80, "beds": 1, "smoking": True, "tags": []},
                ],
            },
            {
                "id": "2",
                "name": "beta",
                "stars": 3,
                "score": "NaN",
                "open": False,
                "built": "2010-01-01T00:00:00.5Z",
                "tags": ["bar"],
                "address": {"city": None},
                "rooms": [{"type": "single", "rate": 120.0, "beds": 2}],
            },
            {"id": "3", "name": "Gamma", "score": "INF", "tags": [], "address": None},
            {"id": "4"},
        )
        yield built
