"""One file that is to come. Pure."""

from dataclasses import dataclass

from dbops.engine.plan import Plan, Statement, Step, Verbatim


@dataclass(frozen=True, slots=True)
class WriteRevision:
    path: str
    text: str


def plan(target: str, change: str, path: str, text: str) -> Plan[WriteRevision]:
    name = path.rpartition("/")[2]
    step = Step(
        f"write {name}",
        f"write {path}",
        WriteRevision(path, text),
        statements=(Statement("{}", (Verbatim(text),)),),
    )
    return Plan(target, f"begin change {change}", (step,))
