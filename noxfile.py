"""What can be run on this code. Everything uses .venv, which scripts/setup has made: nothing is installed twice."""

import os
from pathlib import Path

import nox

TOP = Path(__file__).resolve().parent
BIN = TOP / ".venv" / "bin"
WORKERS = str((os.cpu_count() or 2) * 3 // 2)  # a third of the time, tests wait for servers
SLICE = ("test_backup_run_faults.py", "test_kill_change.py", "test_kill_roles.py", "test_vault_kill.py")

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["quick", "lint", "types", "contracts", "docs-check"]


def run(session: nox.Session, program: str, *arguments: str, **env: str) -> None:
    session.run(str(BIN / program), *arguments, env=env, external=True)


def folders(session: nox.Session, *names: str) -> list[str]:
    """Choose the tiers that have tests; without a folder, pytest would take them all."""
    found = [f"tests/{name}" for name in names if any((TOP / "tests" / name).rglob("test_*.py"))]
    return found or session.skip(f"no tests in {', '.join(names)}")


def killing() -> list[Path]:
    """Find the files whose tests do as many kills as they are asked to: they are most of the time that faults take."""
    return [file for file in sorted((TOP / "tests/faults").rglob("test_*.py")) if "kills(" in file.read_text()]


@nox.session
def tests(session: nox.Session) -> None:
    """Every tier but the benchmarks; of the kills a slice, in a few files: `faults` does them all, in full count."""
    left = {file for file in killing() if file.name not in SLICE}
    faults = [str(file) for file in sorted((TOP / "tests/faults").rglob("test_*.py")) if file not in left]
    # What takes longest comes first: at the end, small files keep all workers busy.
    where = [*folders(session, "acceptance"), *faults, *folders(session, "integration", "unit")]
    how = ("-n", WORKERS, "--dist", "loadfile", "--no-loadscope-reorder")
    run(session, "pytest", *how, *where, *session.posargs, DBOPS_KILLS="4")


@nox.session
def quick(session: nox.Session) -> None:
    """The pure tests: seconds."""
    run(session, "pytest", *folders(session, "unit"), *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Kills in full count. Full disks, damage and storms are as many in `tests`: those files are not run twice."""
    run(session, "pytest", "-n", WORKERS, "--dist", "loadfile", *map(str, killing()), *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Ratios and rates, one at a time; not in CI, whose machines are shared."""
    run(session, "pytest", "-s", *folders(session, "benchmarks"), *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    run(session, "ruff", "check", *session.posargs)
    run(session, "ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    run(session, "basedpyright", *session.posargs)


@nox.session
def contracts(session: nox.Session) -> None:
    """Who may import whom: [tool.importlinter] in pyproject.toml."""
    run(session, "lint-imports", "--no-cache", *session.posargs)


@nox.session(name="docs-check")
def docs_check(session: nox.Session) -> None:
    """The tables in README.md say what the program does."""
    run(session, "python", "scripts/docs.py", "--check")


@nox.session
def lock(session: nox.Session) -> None:
    """Pin the newest versions that pyproject.toml allows. The one thing here that needs uv."""
    command = (
        *("uv", "pip", "compile", "--universal", "--python-version", "3.11", "--upgrade"),
        *("--generate-hashes", "--no-emit-index-url", "--no-annotate", "--quiet"),
        *("--custom-compile-command", "nox -s lock"),
        *(
            "pyproject.toml",
            "--extra",
            "lint",
            "--extra",
            "sandbox",
            "--group",
            "dev",
            "--group",
            "build",
            "--output-file",
            "requirements.lock",
        ),
    )
    session.run(*command, *session.posargs, external=True)
