"""The URL of a monitor is a secret from the moment that it is read."""

import pytest

from dbops.engine.ping import url_of
from dbops.errors import ConfigInvalid
from dbops.redact import redact


@pytest.mark.parametrize("url", ["https://hc.example/0f1e2d3c-path", "https://hc.example:bad/0f1e2d3c-other"])
def test_neither_the_url_nor_its_path_is_ever_told_whether_it_is_usable_or_not(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HC", f"{url}\n")
    try:
        assert url_of("HC") == url
    except ConfigInvalid:
        assert ":bad" in url
    assert redact(f"POST {url}/start failed") == "POST ***/start failed"
    assert url.rpartition("/")[2] not in redact(f"POST /{url.rpartition('/')[2]} answered 404")
