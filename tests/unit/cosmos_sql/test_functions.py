"""The built-in functions, each by examples; wrong arguments make undefined, never an error."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dbops.sandbox.emulators.cosmos import sql

NOTHING = object()


def value_of(expression: str) -> Any:
    found = list(sql.compile(f"SELECT VALUE {expression}", {}).run([]))
    return found[0] if found else NOTHING


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("CONTAINS('abc', 'b')", True),
        ("CONTAINS('abc', 'B')", False),
        ("CONTAINS('abc', 'B', true)", True),
        ("STARTSWITH('abc', 'ab')", True),
        ("STARTSWITH('abc', 'AB', true)", True),
        ("ENDSWITH('abc', 'bc')", True),
        ("ENDSWITH('abc', 'BC', false)", False),
        ("StringEquals('a', 'A', true)", True),
        ("STRINGEQUALS('a', 'A')", False),
        ("LOWER('AbC')", "abc"),
        ("UPPER('AbC')", "ABC"),
        ("LENGTH('abc')", 3),
        ("REVERSE('abc')", "cba"),
        ("SUBSTRING('abcdef', 1, 3)", "bcd"),
        ("SUBSTRING('abc', 2, 9)", "c"),
        ("LEFT('abc', 2)", "ab"),
        ("RIGHT('abc', 2)", "bc"),
        ("CONCAT('a', 'b', 'c')", "abc"),
        ("INDEX_OF('abcb', 'b')", 1),
        ("INDEX_OF('abcb', 'b', 2)", 3),
        ("INDEX_OF('abc', 'x')", -1),
        ("REPLACE('banana', 'an', 'o')", "booa"),
        ("REPLICATE('ab', 2)", "abab"),
        ("TRIM('  a ')", "a"),
        ("LTRIM('  a ')", "a "),
        ("RTRIM('  a ')", "  a"),
        ("REGEXMATCH('abcd', 'ABC', 'i')", True),
        ("RegexMatch('abcd', '^b')", False),
        ("TOSTRING(1.5)", "1.5"),
        ("ToString({'a': [1, true]})", '{"a":[1,true]}'),
        ("ToString('a')", "a"),
        ("StringToNumber('  1.5 ')", 1.5),
        ("StringToNumber('0x1')", NOTHING),
        ("StringToBoolean('true')", True),
        ("StringToArray('[1, 2]')", [1, 2]),
        ("StringToObject('{\"a\": 1}')", {"a": 1}),
        ("StringToNull('null')", None),
        ("StringJoin(['a', 'b'], '-')", "a-b"),
        ("StringSplit('a-b', '-')", ["a", "b"]),
        ("ABS(-2)", 2),
        ("FLOOR(1.7)", 1),
        ("FLOOR(-1.2)", -2),
        ("CEILING(1.2)", 2),
        ("ROUND(2.5)", 3),
        ("ROUND(-2.5)", -3),
        ("ROUND(2.4)", 2),
        ("POWER(2, 10)", 1024),
        ("SQRT(9)", 3),
        ("SQRT(-1)", NOTHING),
        ("SQUARE(3)", 9),
        ("SIGN(-3)", -1),
        ("TRUNC(-1.7)", -1),
        ("LOG10(100)", 2),
        ("1 / 0", NOTHING),
        ("7 % 4", 3),
        ("-7 % 4", -3),
        ("5 % 0", NOTHING),
        ("0.1 + 0.2", 0.1 + 0.2),
        ("1 + '1'", NOTHING),
        ("'a' || 1", NOTHING),
        ("10 - 2 - 3", 5),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("ARRAY_LENGTH([1, 2])", 2),
        ("ARRAY_SLICE([1, 2, 3, 4], 1)", [2, 3, 4]),
        ("ARRAY_SLICE([1, 2, 3, 4], 1, 2)", [2, 3]),
        ("ARRAY_SLICE([1, 2, 3, 4], -2, 1)", [3]),
        ("ARRAY_CONCAT([1], [2], [3])", [1, 2, 3]),
        ("ARRAY_CONTAINS([1, true], 1)", True),
        ("ARRAY_CONTAINS([true], 1)", False),
        ("ARRAY_CONTAINS([{'a': 1, 'b': 2}], {'a': 1})", False),
        ("ARRAY_CONTAINS([{'a': 1, 'b': 2}], {'a': 1}, true)", True),
        ("ARRAY_CONTAINS([{'a': 1, 'b': 2}], {'a': 1}, false)", False),
        ("ARRAY_CONTAINS_ANY([1, 2], 2, 9)", True),
        ("ARRAY_CONTAINS_ALL([1, 2], 2, 9)", False),
        ("SetIntersect([1, 2, 2], [2, 3])", [2]),
        ("SetUnion([1, 2], [2, 3])", [1, 2, 3]),
        ("IIF(true, 1, 2)", 1),
        ("CHOOSE(2, 'a', 'b')", "b"),
        ("[1, [2, 3]][1][0]", 2),
        ("{'a': {'b': 7}}.a.b", 7),
        ("IS_INTEGER(1)", True),
        ("IS_INTEGER(1.5)", False),
        ("IS_BOOL(true)", True),
        ("IS_NUMBER(true)", False),
        ("IS_STRING('')", True),
        ("IS_ARRAY([])", True),
        ("IS_OBJECT({})", True),
        ("IS_PRIMITIVE(null)", True),
        ("IS_PRIMITIVE([])", False),
        ("IS_DEFINED(undefined)", False),
        ("IS_NULL(undefined)", False),
        ("1e2", 100),
        ("0x10", 16),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_an_expression_has_this_value(expression: str, value: Any) -> None:
    found = value_of(expression)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "call",
    [
        "LOWER(1)",
        "LENGTH([1])",
        "CONTAINS('a', undefined)",
        "CONTAINS(1, 'a')",
        "SUBSTRING('abc', 'a', 1)",
        "CONCAT('a', 1)",
        "ABS('1')",
        "POWER('2', 2)",
        "ARRAY_LENGTH('abc')",
        "ARRAY_CONTAINS('abc', 'a')",
        "ARRAY_CONTAINS([1], undefined)",
        "ARRAY_SLICE({}, 1)",
        "REGEXMATCH(1, 'a')",
        "StringToNumber(1)",
        "[1][5]",
        "[1]['a']",
        "{'a': 1}[0]",
        "(1).a",
        "TOSTRING(undefined)",
    ],
)
def test_what_does_not_fit_is_undefined(call: str) -> None:
    assert value_of(call) is NOTHING


def test_the_clock_is_the_callers() -> None:
    def now() -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)

    text = "SELECT GetCurrentDateTime() AS d, GetCurrentTimestamp() AS t, GetCurrentTicks() AS k"
    assert list(sql.compile(text, {}, now=now).run([])) == [
        {"d": "2026-01-02T03:04:05.6789000Z", "t": 1767323045678, "k": 639029198456789000}
    ]
