"""Read an OData filter: a descent through the grammar that the service documents."""

from datetime import datetime
from typing import NoReturn, cast

from dbops.sandbox.emulators.search.query.lexer import Token, tokens
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.tree import (
    And,
    Compare,
    Constant,
    Every,
    Expression,
    In,
    Kind,
    Literal,
    Matches,
    Not,
    Operator,
    Or,
    Path,
    Truth,
)

_DEEPEST = 100
_MOST_TOKENS = 400_000
_TURNED: dict[Operator, Operator] = {"eq": "eq", "ne": "ne", "gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}
_LARGEST_INT32 = 2**31
_LARGEST_INT64 = 2**63


def parse(text: str) -> Expression:
    """Give the tree of a filter; raises Invalid or Unsupported."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        if len(self._tokens) > _MOST_TOKENS:
            raise Invalid("Invalid expression: the filter is too long.")
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._either()
        if self._next.sort != "end":
            self._wrong()
        return found

    # -- tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        return self._next.sort in ("name", "mark") and self._next.text == text

    def _eat(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._eat(text):
            self._wrong(f"'{text}' expected")

    def _name(self) -> str:
        if self._next.sort != "name":
            self._wrong("an identifier was expected")
        return self._take().text

    def _wrong(self, what: str = "Syntax error") -> NoReturn:
        raise Invalid(f"Invalid expression: {what} at position {self._next.at} in '{self._text}'.")

    # -- grammar

    def _either(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Invalid("Invalid expression: the filter is nested too deeply.")
        parts = [self._both()]
        while self._eat("or"):
            parts.append(self._both())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self) -> Expression:
        parts = [self._one()]
        while self._eat("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Expression:
        negations = 0
        while self._is("not"):
            self._take()
            negations += 1
        found = self._primary(negated=negations > 0)
        for _ in range(negations % 2):
            found = Not(found)
        return found

    def _primary(self, *, negated: bool) -> Expression:
        if self._eat("("):
            found = self._either()
            self._need(")")
        elif self._next.sort == "name" and "." in self._next.text:
            found = self._call()
        elif (literal := self._literal()) is not None:
            return self._after_literal(literal)
        else:
            path = self._path()
            if path[-1] in ("any", "all") and self._is("("):
                found = self._lambda(path)
            elif (operator := self._operator()) is not None:
                if negated:
                    self._wrong("the operand of 'not' must be boolean: put the comparison into parentheses,")
                return Compare(operator, path, self._needed_literal())
            else:
                return Truth(path)
        return self._compared(found, negated=negated)

    def _compared(self, found: Expression, *, negated: bool) -> Expression:
        """A boolean function may be compared to true or false, which changes nothing or turns it round."""
        operator = self._operator()
        if operator is None:
            return found
        literal = self._needed_literal()
        if (
            operator not in ("eq", "ne")
            or literal.kind != "Edm.Boolean"
            or negated
            or not isinstance(found, In | Matches)
        ):
            self._wrong("A binary operator with incompatible types was detected")
        return found if (operator == "eq") == literal.value else Not(found)

    def _after_literal(self, literal: Literal) -> Expression:
        operator = self._operator()
        if operator is None:
            if literal.kind == "Edm.Boolean":
                return Constant(bool(literal.value))
            self._wrong("the filter must evaluate to a single boolean value")
        if self._next.sort == "name" and "." in self._next.text:
            return self._call()  # geo.distance: says that it is not there
        if self._next.sort != "name":
            self._wrong("a field was expected")
        return Compare(_TURNED[operator], self._path(), literal)

    def _operator(self) -> Operator | None:
        if self._next.sort == "name" and self._next.text in _TURNED:
            return cast("Operator", self._take().text)
        return None

    def _path(self) -> Path:
        parts = [self._name()]
        while self._eat("/"):
            parts.append(self._name())
        return tuple(parts)

    def _lambda(self, path: Path) -> Expression:
        each = path[-1] == "all"
        if len(path) == 1:
            self._wrong("a collection was expected before any and all")
        self._need("(")
        if self._eat(")"):
            if each:
                self._wrong("all needs a lambda expression")
            return Every(path[:-1], each=False, variable="", body=Constant(value=True))
        variable = self._name()
        self._need(":")
        body = self._either()
        self._need(")")
        return Every(path[:-1], each, variable, body)

    def _call(self) -> Expression:
        function = self._take().text
        if function == "search.ismatch":
            return self._matches()
        if function in ("search.ismatchscoring", "geo.distance", "geo.intersects"):
            raise Unsupported(function)
        if function != "search.in":
            raise Invalid(f"Invalid expression: An unknown function with name '{function}' was found.")
        self._need("(")
        path = self._path()
        self._need(",")
        values = self._string()
        delimiters = self._string() if self._eat(",") else ", "
        self._need(")")
        if not delimiters:
            raise Unsupported("search.in with an empty string of delimiters")
        for delimiter in delimiters[1:]:
            values = values.replace(delimiter, delimiters[0])
        return In(path, tuple(value for value in values.split(delimiters[0]) if value))

    def _matches(self) -> Expression:
        self._need("(")
        told = [self._string()]
        while self._eat(","):
            told.append("" if self._eat("null") else self._string())
        self._need(")")
        if len(told) > 4 or len(told) == 3 or (len(told) == 4 and told[2] not in ("simple", "full")):
            self._wrong("search.ismatch takes a text, fields, a syntax and a mode: the last two together")
        fields = told[1] if len(told) > 1 else ""
        return Matches(told[0], fields, *told[2:])

    def _string(self) -> str:
        if self._next.sort != "string":
            self._wrong("a string was expected")
        return self._take().text[1:-1].replace("''", "'")

    def _needed_literal(self) -> Literal:
        literal = self._literal()
        if literal is None:
            self._wrong("a constant was expected; fields cannot be compared with fields")
        return literal

    def _literal(self) -> Literal | None:
        token = self._next
        match token.sort:
            case "string":
                return Literal("Edm.String", self._string())
            case "date":
                try:
                    datetime.fromisoformat(token.text)
                except ValueError:
                    self._wrong("no such instant")
                found = Literal("Edm.DateTimeOffset", token.text)
            case "float":
                found = Literal("Edm.Double", float(token.text))
            case "integer":
                found = _integer(int(token.text))
            case "name" if token.text in ("true", "false"):
                found = Literal("Edm.Boolean", token.text == "true")
            case "name" if token.text == "null":
                found = Literal("null", None)
            case _:
                return None
        self._at += 1
        return found


def _integer(value: int) -> Literal:
    if not -_LARGEST_INT64 <= value < _LARGEST_INT64:
        raise Invalid(f"Invalid expression: The number {value} is too large for Edm.Int64.")
    kind: Kind = "Edm.Int32" if -_LARGEST_INT32 <= value < _LARGEST_INT32 else "Edm.Int64"
    return Literal(kind, value)
