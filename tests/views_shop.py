"""One database with materialized views, for the tests that refresh them: facts, plans and runs in this process."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dbops.config.model import Config
from dbops.engine import clock
from dbops.engine import journal as journals
from dbops.engine import run as runs
from dbops.engine.finding import Finding
from dbops.engine.patience import Ramp
from dbops.operations.views import ready
from dbops.operations.views.facts import Facts, View, Wanted

SHORT = Ramp(timeout=timedelta(milliseconds=50), attempts=2, first_pause=timedelta(milliseconds=10))
ALL = Wanted()


class Shop:
    """A database called shop, as a configuration and a superuser's connection know it."""

    def __init__(self, conninfo: str, folder: Path) -> None:
        self.conninfo, self.folder = conninfo, folder
        told = conninfo_to_dict(conninfo)
        secret = folder / "admin"
        secret.write_text(f"{told.pop('password')}\n")
        secret.chmod(0o600)
        dsn = " ".join(f"{key}='{value}'" for key, value in told.items())
        self.place: dict[str, Any] = {"cluster": "main", "dsn": dsn, "password": {"file": str(secret)}}
        self.connection = psycopg.connect(conninfo, autocommit=True)

    def close(self) -> None:
        self.connection.close()

    def config(self, **views: dict[str, Any]) -> Config:
        cluster = {key: value for key, value in self.place.items() if key != "cluster"}
        return Config.model_validate(
            {
                "platform": {"name": "test", "state_dir": str(self.folder / "state")},
                "cluster": {"main": cluster},
                "postgres": {
                    "shop": self.place | {"view": {name.replace("__", "."): one for name, one in views.items()}}
                },
            }
        )

    def run(self, *, plan_only: bool = False) -> runs.Run:
        fresh = runs.new("matview refresh", self.folder / "state")
        return replace(fresh, plan_only=plan_only)

    def sql(self, text: str) -> None:
        """Run statements, and let the statistics know at once what they did."""
        self.connection.execute(sql.SQL(text))  # pyright: ignore[reportArgumentType]
        self.connection.execute("SELECT pg_stat_force_next_flush()")

    def one(self, query: str) -> Any:
        row = self.connection.execute(sql.SQL(query)).fetchone()  # pyright: ignore[reportArgumentType]
        assert row is not None
        return row[0]

    def facts(self) -> Facts:
        return ready.looked(self.config(), "shop", self.run(plan_only=True))

    def view(self, name: str) -> View:
        return next(view for view in self.facts().views if view.name == name)

    def planned(self, wanted: Wanted = ALL, **views: dict[str, Any]) -> tuple[list[str], tuple[Finding, ...]]:
        """Name the views that would be refreshed, in order, and tell why others would not be."""
        opening = ready.refresh(self.config(**views), "shop", self.run(plan_only=True), clock.now(), wanted=wanted)
        with opening as plan:
            return [step.id.removeprefix("refresh ") for step in plan.plan.steps if step.id != "ledger"], plan.findings

    def refresh(self, wanted: Wanted = ALL, *, ramp: Ramp = SHORT, **views: dict[str, Any]) -> list[str]:
        """Refresh, and name the steps that were done; an error of the run is raised."""
        run = self.run()
        with ExitStack() as stack:
            opening = ready.refresh(self.config(**views), "shop", run, clock.now(), wanted=wanted, ramp=ramp)
            plan = stack.enter_context(opening)
            log = stack.enter_context(journals.opened(run.state_dir, run.id, "shop", command=run.command))
            runs.execute(plan, log, _nothing)
            return [step.id.removeprefix("refresh ") for step in plan.plan.steps if step.id != "ledger"]

    def wait_for(self, query: str, *, seconds: float = 10) -> None:
        """Poll until a query says true."""
        deadline = time.monotonic() + seconds
        while not self.one(query):
            assert time.monotonic() < deadline, f"still not: {query}"

    def rows(self, name: str) -> Sequence[tuple[Any, ...]]:
        query = sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier(*name.split(".")))
        return self.connection.execute(query).fetchall()


def _nothing(_progress: runs.Progress) -> None: ...
