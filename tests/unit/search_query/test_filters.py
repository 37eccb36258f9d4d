import pytest

from dbops.sandbox.emulators.search.query import Invalid, Unsupported

from questions import Index, field, index


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("stars eq 5", "1"),
        ("5 eq stars", "1"),
        ("stars ne 5", "234"),
        ("stars gt 3", "1"),
        ("4 gt stars", "2"),
        ("4 le stars", "1"),
        ("stars ge 3.5", "1"),
        ("stars eq null", "34"),
        ("stars ne null", "12"),
        ("null eq stars", "34"),
        ("name eq 'Alpha''s'", "1"),
        ("name gt 'Gamma'", "2"),
        ("name lt 'Gamma'", "1"),
        ("score gt 4", "13"),
        ("score lt INF", "1"),
        ("score eq INF", "3"),
        ("score ge -INF", "13"),
        ("score eq NaN", ""),
        ("score ne NaN", "1234"),
        ("score gt NaN", ""),
        ("score ne 4.5", "234"),
        ("not (score gt 4)", "24"),
        ("open", "1"),
        ("not open", "234"),
        ("not not open", "1"),
        ("open eq false", "2"),
        ("open ne true", "234"),
        ("open eq null", "34"),
        ("true", "1234"),
        ("false", ""),
        ("not false and open", "1"),
        ("built eq 2000-01-01T00:00:00Z", "1"),
        ("built gt 2010-01-01T00:00:00.499Z", "2"),
        ("built le 2010-01-01T01:00:00.500+01:00", "12"),
        ("address/city eq 'Rome'", "1"),
        ("address/city eq null", "234"),
        ("address/zip gt 4294967296", "1"),
        ("stars eq 3 or stars eq 5 and open", "12"),
        ("(stars eq 3 or stars eq 5) and open", "1"),
        ("not (stars gt 4)", "234"),
        ("not (not (stars gt 4))", "1"),
        ("not (stars gt 4 or open)", "234"),
        ("search.in(name, 'beta, Gamma')", "23"),
        ("search.in(name, 'beta|Gamma', '|')", "23"),
        ("search.in(name, 'beta;Gamma|x', ';|')", "23"),
        ("search.in(name, '')", ""),
        ("not search.in(name, 'beta')", "134"),
        ("search.in(name, 'beta') eq false", "134"),
        ("tags/any()", "12"),
        ("not tags/any()", "34"),
        ("tags/any(t: t eq 'bar')", "12"),
        ("tags/any(t: t eq 'pool' or t eq 'x')", "1"),
        ("tags/any(t: search.in(t, 'pool, x'))", "1"),
        ("tags/any(t: not (t ne 'pool' and t ne 'x'))", "1"),
        ("tags/all(t: t ne 'pool')", "234"),
        ("tags/all(t: not (t eq 'pool') and not search.in(t, 'x'))", "234"),
        ("years/any(y: y gt 2000 and y lt 2005)", ""),
        ("years/any(y: y gt 2000 and y lt 2015)", "1"),
        ("years/any(y: y ne 1999)", "1"),
        ("years/all(y: y gt 2000)", "234"),
        ("flags/any(f: f)", "1"),
        ("flags/any(f: not f)", "1"),
        ("flags/all(f: f eq true)", "234"),
        ("rooms/any(r: r/type eq 'single')", "12"),
        ("rooms/any(r: r/type eq 'single' and r/rate gt 100)", "2"),
        ("rooms/any(r: r/smoking)", "1"),
        ("rooms/all(r: r/beds eq 2)", "234"),
        ("rooms/any(r: r/smoking eq null)", "2"),
        ("rooms/all(r: r/smoking)", "34"),
        ("rooms/any(r: r/tags/any(t: t eq 'view'))", "1"),
        ("rooms/all(r: not r/tags/any())", "234"),
        ("rooms/any(r: not (r/rate lt 300.5))", "1"),
    ],
)
def test_a_filter_finds(hotels: Index, asked: str, found: str) -> None:
    assert hotels.found(asked) == set(found)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("missing eq 1", "Could not find a property named 'missing' on type 'search.document'"),
        ("address/street eq 'x'", "Could not find a property named 'street' on type 'address'"),
        ("plain eq 'x'", "'plain' is not a filterable field"),
        ("rooms/any(r: r/note eq 'x')", "'rooms/note' is not a filterable field"),
        ("stars eq 'x'", "'Edm.Int32' and 'Edm.String' for operator kind 'Equal'"),
        ("name eq 5", "'Edm.String' and 'Edm.Int32'"),
        ("built gt '2010-01-01'", "'Edm.DateTimeOffset' and 'Edm.String' for operator kind 'GreaterThan'"),
        ("open gt true", "'Edm.Boolean' and 'Edm.Boolean' for operator kind 'GreaterThan'"),
        ("stars gt null", "'null' for operator kind 'GreaterThan'"),
        ("stars eq NaN", "cannot be compared"),
        ("tags eq 'bar'", "'Collection(Edm.String)' and cannot be compared"),
        ("address eq null", "'Edm.ComplexType' and cannot be compared"),
        ("rooms/type eq 'single'", "any and all reach its parts"),
        ("name/any(n: n eq 'x')", "any and all work on collections"),
        ("rooms/any(r: r/any())", "any and all work on collections"),
        ("name", "single boolean value"),
        ("'x'", "single boolean value"),
        ("stars eq stars", "fields cannot be compared with fields"),
        ("not stars gt 3", "put the comparison into parentheses"),
        ("stars eq", "a constant was expected"),
        ("stars eq 5 and", "an identifier was expected"),
        ("(stars eq 5", "')' expected"),
        ("stars eq 5 stars", "Syntax error"),
        ("name eq 'it", "Syntax error"),
        ("built gt 2010-02-30T00:00:00Z", "no such instant"),
        ("stars eq 99999999999999999999", "too large for Edm.Int64"),
        ("search.out(name, 'x')", "unknown function with name 'search.out'"),
        ("search.in(stars, '5')", "search.in works on strings"),
        ("rooms/all()", "all needs a lambda"),
        ("rooms/any(r: stars eq 5)", "not bound to the range variable 'r'"),
        ("rooms/any(r: r/tags/any(t: t eq 'x' and r/type eq 'y'))", "not bound to the range variable 't'"),
        ("rooms/any(r: search.ismatch('x'))", "no parameters bound to the range variable 'r'"),
        ("tags/any(t: t ne 'x')", "where the opposite was expected"),
        ("tags/all(t: t eq 'x')", "where the opposite was expected"),
        ("tags/any(t: not search.in(t, 'x'))", "where the opposite was expected"),
        ("tags/any(t: not (t ne 'x' or t ne 'y'))", "Complex Boolean expressions"),
        ("tags/any(t: t gt 'x')", "Found a comparison operator"),
        ("tags/any(t: t eq 'x' and t eq 'y')", "Complex Boolean expressions"),
        ("tags/all(t: t ne 'x' or t ne 'y')", "Complex Boolean expressions"),
        ("flags/any(f: f or not f)", "Complex Boolean expressions"),
        ("years/any(y: y ne 5 and y gt 2)", "complex Boolean expression"),
        ("years/any(y: (y gt 1 or y gt 2) and y lt 9)", "complex Boolean expression"),
        ("years/all(y: y eq 5 or y le 2)", "complex Boolean expression"),
        ("(" * 200 + "open" + ")" * 200, "nested too deeply"),
    ],
)
def test_a_filter_that_the_service_refuses_is_refused(hotels: Index, asked: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        hotels.found(asked)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "feature"),
    [
        ("geo.distance(place, geography'POINT(1 2)') lt 5", "geo.distance"),
        ("5 gt geo.distance(place, geography'POINT(1 2)')", "geo.distance"),
        ("geo.intersects(place, geography'POLYGON((1 2))')", "geo.intersects"),
        ("search.ismatchscoring('x')", "search.ismatchscoring"),
        ("place eq null", "comparisons of geography points"),
    ],
)
def test_what_is_not_imitated_is_named(hotels: Index, asked: str, feature: str) -> None:
    with pytest.raises(Unsupported, match=feature):
        hotels.found(asked)


def test_two_thousand_alternatives_are_one_filter(hotels: Index) -> None:
    asked = " or ".join(f"stars eq {n}" for n in range(2000))
    assert hotels.found(asked) == {"1", "2"}


def test_a_list_can_have_half_a_million_values(hotels: Index) -> None:
    listed = ",".join(str(n) for n in range(500_000))
    assert hotels.found(f"search.in(id, '{listed}') and name ne null") == {"1", "2", "3"}
    assert hotels.found(f"tags/any(t: search.in(t, 'pool,{listed}'))") == {"1"}


def test_elements_without_any_filterable_part_can_still_be_looked_for() -> None:
    parts = [field("note", filterable=False, sortable=False, facetable=False)]
    with index(field("rooms", "Collection(Edm.ComplexType)", fields=parts)) as built:
        built.put({"id": "a", "rooms": [{"note": "n"}]}, {"id": "b", "rooms": []})
        assert built.found("rooms/any()") == {"a"}


def test_strings_are_compared_by_their_bytes(hotels: Index) -> None:
    hotels.put({"id": "bmp", "name": "\uffff"}, {"id": "astral", "name": "\U00010000"})
    assert hotels.found("name gt '\uffff'") == {"astral"}


def test_both_zeros_are_equal(hotels: Index) -> None:
    hotels.put({"id": "zero", "score": -0.0})
    assert hotels.found("score eq 0") == hotels.found("score eq -0.0") == {"zero"}
    assert hotels.found("score lt 0.0") == set()


def test_fields_that_differ_in_case_alone_are_two() -> None:
    with index(field("name"), field("Name")) as built:
        built.put({"id": "a", "name": "x", "Name": "y"})
        assert built.found("name eq 'x' and Name eq 'y'") == {"a"}
        assert built.found("Name eq 'x'") == set()
