"""Where the parser stands in the words of a query."""

from dbops.sandbox.emulators.cosmos.sql.lexer import Token, tokens
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid


class Cursor:
    """Words are asked for by text; keywords in any case, names as they are."""

    __slots__ = ("at", "words")

    def __init__(self, text: str) -> None:
        self.words = tokens(text)
        self.at = 0

    @property
    def word(self) -> Token:
        return self.words[self.at]

    @property
    def next_word(self) -> Token:
        return self.words[min(self.at + 1, len(self.words) - 1)]

    def take(self) -> Token:
        word = self.words[self.at]
        if word.kind != "end":
            self.at += 1
        return word

    def sees(self, *texts: str) -> bool:
        word = self.words[self.at]
        return word.kind in {"keyword", "operator"} and word.text in texts

    def took(self, text: str) -> bool:
        if self.sees(text):
            self.at += 1
            return True
        return False

    def took_word(self, name: str) -> bool:
        """A word that is a keyword in this place only."""
        if self.word.kind == "name" and self.word.text.upper() == name:
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.took(text):
            raise self.wrong(f"{text} was expected")

    def name(self) -> str:
        if self.word.kind != "name":
            raise self.wrong("a name was expected")
        return self.take().text

    def wrong(self, why: str) -> Invalid:
        word = self.word
        return Invalid(f"Syntax error, incorrect syntax near '{word.value or word.text}' at position {word.at}: {why}")
