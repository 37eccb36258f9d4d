"""The query language of Cosmos DB: text in, results out.

    query = sql.compile("SELECT * FROM c WHERE c.a = @a", {"@a": 1})
    for result in query.run(documents): ...

`sql.Invalid` is a 400 of the service, `sql.Unsupported` a 501 of the emulator. Both may also be raised while `run` is
consumed. `sql.plan(query)` is the queryInfo that the SDK's client-side execution wants, `sql.condition(text)` the
predicate of a conditional patch.
"""

from dbops.sandbox.emulators.cosmos.sql.planning import plan
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid, Unsupported
from dbops.sandbox.emulators.cosmos.sql.query import Query, compile, condition  # noqa: A004 - used as sql.compile

__all__ = ["Invalid", "Query", "Unsupported", "compile", "condition", "plan"]
