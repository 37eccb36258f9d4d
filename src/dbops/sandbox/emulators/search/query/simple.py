"""The simple query syntax: words, "phrases", prefix*, + | - and parentheses, read from left to right."""

from dataclasses import dataclass

from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported


@dataclass(frozen=True, slots=True)
class Words:
    """A word, a prefix or a phrase, as it was written."""

    text: str
    phrase: bool = False
    prefix: bool = False
    field: str | None = None  # where alone it is searched; the simple syntax has no such thing


@dataclass(frozen=True, slots=True)
class Without:
    part: "Query"


@dataclass(frozen=True, slots=True)
class Joined:
    every: bool
    parts: "tuple[Query, ...]"
    bonus: "tuple[Query, ...]" = ()  # matters to the score alone


Query = Words | Without | Joined
_DEEPEST = 50
_MOST = 1024


def parse(text: str, *, every: bool) -> Query | None:
    """Read a query; `every` is searchMode all. None when nothing was asked for. Nothing is a syntax error."""
    return _Parser(text, every).group(0)


class _Parser:
    def __init__(self, text: str, every: bool) -> None:
        self._text = text
        self._at = 0
        self._every = every
        self._read = 0
        self._wrapped = 0

    def group(self, depth: int) -> Query | None:
        """Read up to a closing parenthesis. A change of operator wraps what was read, as there is no precedence."""
        if depth > _DEEPEST:
            raise Unsupported(f"queries nested deeper than {_DEEPEST}")
        found: Query | None = None
        every: bool | None = None  # the operator that was written
        while self._at < len(self._text):
            mark = self._text[self._at]
            if mark == ")":
                self._at += 1
                if depth:
                    break
            elif mark.isspace():
                self._at += 1
            elif mark in "+|":
                self._at += 1
                every = mark == "+"
            else:
                part = self._operand(depth)
                if part is not None:
                    self._read += 1
                    if self._read > _MOST:
                        raise Invalid(f"The search text has more than {_MOST} clauses.")
                    found = self._joined(found, part, self._every if every is None else every)
                    every = None
        return found

    def _joined(self, found: Query | None, part: Query, every: bool) -> Query:
        if found is None:
            return part
        if isinstance(found, Joined) and found.every == every:
            return Joined(every, (*found.parts, part))
        self._wrapped += 1
        if self._wrapped > _DEEPEST:
            raise Unsupported(f"queries with more than {_DEEPEST} changes of the operator")
        return Joined(every, (found, part))

    def _operand(self, depth: int) -> Query | None:
        match self._text[self._at]:
            case "-":
                self._at += 1
                if self._at >= len(self._text) or self._text[self._at].isspace():
                    return None
                part = self._operand(depth) if self._text[self._at] not in "+|)" else None
                return None if part is None else Without(part)
            case "(":
                self._at += 1
                return self.group(depth + 1)
            case '"':
                return self._phrase()
            case _:
                return self._word()

    def _phrase(self) -> Query | None:
        end = self._text.find('"', self._at + 1)
        if end < 0:
            self._at += 1  # a quote that is never closed is a mark like any other
            return None
        phrase = self._text[self._at + 1 : end]
        self._at = end + 1
        return Words(phrase, phrase=True) if phrase.strip() else None

    def _word(self) -> Query | None:
        letters: list[str] = []
        prefix = False
        while self._at < len(self._text):
            mark = self._text[self._at]
            if mark == "\\" and self._at + 1 < len(self._text):
                letters.append(self._text[self._at + 1])
                self._at += 2
                continue
            if mark.isspace() or mark in '+|()"':
                break
            self._at += 1
            prefix = mark == "*"
            letters.append(mark)
        word = "".join(letters[:-1] if prefix else letters)
        return Words(word, prefix=prefix) if word else None
