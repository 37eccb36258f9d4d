"""What the service refuses inside any and all over collections of simple values.

Its indexes are inverted: they find documents by an element, and cannot see that two conditions hold for the same one.
"""

from dbops.sandbox.emulators.search.query.fields import BOOLEAN, STRING, Field
from dbops.sandbox.emulators.search.query.refusal import Invalid
from dbops.sandbox.emulators.search.query.tree import (
    And,
    Compare,
    Constant,
    Every,
    Expression,
    In,
    Literal,
    Matches,
    Not,
    Or,
    Truth,
)

_SAYS = "Invalid lambda expression. "
_OPPOSITE = (
    _SAYS
    + "Found a test for equality or inequality where the opposite was expected in a lambda expression that iterates"
    " over a field of type Collection(Edm.String). For 'any', use expressions of the form 'x eq y' or 'search.in(...)'."
    " For 'all', use expressions of the form 'x ne y', 'not (x eq y)', or 'not search.in(...)'."
)
_RANGE = (
    _SAYS
    + "Found a comparison operator (one of 'lt', 'le', 'gt', or 'ge'). Only equality operators are allowed in lambda"
    " expressions that iterate over fields of type Collection(Edm.String). For 'any', use expressions of the form"
    " 'x eq y'. For 'all', use expressions of the form 'x ne y' or 'not (x eq y)'."
)
_JOINED = (
    _SAYS + "Complex Boolean expressions aren't supported in lambda expressions that iterate over fields of type"
    " {}. For 'any', join subexpressions with 'or'; 'and' isn't supported. For 'all', join subexpressions with 'and';"
    " 'or' isn't supported."
)
_NORMAL = (
    _SAYS
    + "Found an unsupported form of complex Boolean expression. For 'any', use expressions that are 'ORs of ANDs',"
    " also known as Disjunctive Normal Form. For 'all', use expressions that are 'ANDs of ORs', also known as"
    " Conjunctive Normal Form."
)
_TURNED = {"eq": "ne", "ne": "eq", "gt": "le", "le": "gt", "lt": "ge", "ge": "lt"}
Alternatives = list[list[str]]  # for any: ors of ands; for all: ands of ors; each leaf is its operator


def check(field: Field, asked: Every) -> None:
    """Raise Invalid for a body that the service would not take over this collection."""
    if isinstance(asked.body, Constant):
        return
    outer = And if asked.each else Or
    groups = _groups(asked.body, outer, negated=False)
    if field.type in (STRING, BOOLEAN) and any(len(group) > 1 for group in groups):
        raise Invalid(_JOINED.format(field.told_type))
    if field.type == BOOLEAN and len(groups) > 1:
        raise Invalid(_JOINED.format(field.told_type))
    awkward = "eq" if asked.each else "ne"
    operators = [operator for group in groups for operator in group]
    if field.type == STRING:
        if any(operator not in ("eq", "ne") for operator in operators):
            raise Invalid(_RANGE)
        if awkward in operators:
            raise Invalid(_OPPOSITE)
    elif field.type != BOOLEAN and any(len(group) > 1 and awkward in group for group in groups):
        raise Invalid(_NORMAL)


def _groups(expression: Expression, outer: type[And | Or], *, negated: bool) -> Alternatives:
    match expression:
        case Not(part):
            return _groups(part, outer, negated=not negated)
        case And(parts) | Or(parts):
            found = [_groups(part, outer, negated=negated) for part in parts]
            if (isinstance(expression, outer)) != negated:
                return [group for groups in found for group in groups]
            if any(len(groups) > 1 for groups in found):
                raise Invalid(_NORMAL)
            return [[operator for groups in found for group in groups for operator in group]]
        case Compare(operator, _, Literal()):
            return [[_TURNED[operator] if negated else operator]]
        case In() | Truth() | Constant() | Every() | Matches():
            return [["ne" if negated else "eq"]]
