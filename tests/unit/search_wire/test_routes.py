"""How an address of the search service is read."""

import pytest

from dbops.sandbox.emulators.search.routes import Route, parse


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/indexes", Route("indexes")),
        ("/indexes('a')", Route("indexes", "a")),
        ("/indexes/a", Route("indexes", "a")),
        ("/indexes('a')/search.stats", Route("indexes", "a", "stats")),
        ("/indexes/a/docs/index", Route("indexes", "a", "docs/index")),
        ("/indexes('a')/docs/search.index", Route("indexes", "a", "docs/index")),
        ("/indexes('a')/docs/search.post.search", Route("indexes", "a", "docs/search")),
        ("/indexes('a')/docs('k%3D1')", Route("indexes", "a", "docs/key", "k=1")),
        ("/indexes('a')/docs('it''s')", Route("indexes", "a", "docs/key", "it's")),
        ("/indexes('a')/docs('index')", Route("indexes", "a", "docs/key", "index")),
        ("/indexes('a')/docs('a%2Fb')", Route("indexes", "a", "docs/key", "a/b")),
        ("/indexes/a/docs/k", Route("indexes", "a", "docs/key", "k")),
        ("/indexes/a/docs/$count", Route("indexes", "a", "docs/$count")),
        ("/synonymmaps('S')", Route("synonymmaps", "S")),
        ("/", Route("")),
    ],
)
def test_an_address_is_read_in_either_form(path: str, route: Route) -> None:
    assert parse(path) == route
