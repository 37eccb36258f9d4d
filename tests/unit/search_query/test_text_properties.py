"""Full text in FTS5 against sets of words in Python."""

import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbops.sandbox.emulators.search.query.simple import Joined, Query, Without, Words, parse

from questions import field, index

texts = st.lists(st.sampled_from(["ab", "abc", "B", "é", "don't", "1.5", "c_d"]), max_size=5).map(" ".join)
documents = st.lists(st.fixed_dictionaries({"one": texts, "many": st.lists(texts, max_size=2)}), max_size=6)
pieces = st.sampled_from(
    ["ab", "ABC", "b", "a*", "é", "don't", "1.5", "c_d", '"ab abc"', '"b é"', "+", "|", "-", "(", ")", "zz"]
)
queries = st.lists(pieces, min_size=1, max_size=8).map(" ".join) | st.lists(pieces, min_size=1, max_size=5).map("".join)


def words(text: str) -> list[str]:
    return re.findall(r"\w+(?:['.]\w+)*", text.lower())


def matches(query: Query, lines: list[list[str]], *, every: bool) -> bool:
    match query:
        case Without(part):
            return not matches(part, lines, every=every)
        case Joined(joint, parts):
            return (all if joint else any)(matches(part, lines, every=every) for part in parts)
        case Words(text, phrase, prefix):
            wanted = words(text)
            if phrase:
                size = len(wanted)
                return any(line[at : at + size] == wanted for line in lines for at in range(len(line)) if wanted)
            known = {word for line in lines for word in line}
            hits = [
                any(w.startswith(want) if prefix and want == wanted[-1] else w == want for w in known)
                for want in wanted
            ]
            return bool(hits) and (all if every else any)(hits)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents, st.lists(st.tuples(queries, st.booleans()), min_size=1, max_size=4))
def test_fts_finds_what_a_naive_reading_of_the_query_finds(
    rows: list[dict[str, Any]], asked: list[tuple[str, bool]]
) -> None:
    with index(field("one"), field("many", "Collection(Edm.String)")) as built:
        built.put(*({"id": f"x{n}", **row} for n, row in enumerate(rows)))
        for text, every in asked:
            query = parse(text, every=every)
            if query is None or not any(mark.isalnum() for mark in text):
                continue
            found = {
                f"x{n}"
                for n, row in enumerate(rows)
                if matches(query, [words(line) for line in (row["one"], *row["many"], f"x{n}")], every=every)
            }
            mode = "all" if every else "any"
            answer = built.ask(search=text, searchMode=mode, top=1000, count=True)
            assert {row["id"] for row in answer["value"]} == found, text
            assert answer["@odata.count"] == len(found)
            assert all(row["@search.score"] > 0 for row in answer["value"])
