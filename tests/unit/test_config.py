"""The configuration tells all that is wrong at once, and fetches secrets only from where they are safe."""

import json
import os
import re
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops import redact
from dbops.config import find, references, template
from dbops.config.fields import SecretFile
from dbops.config.fill import fill
from dbops.config.load import generate, load, parse, resolve
from dbops.config.model import Config
from dbops.errors import ConfigInvalid, ExitCode, Refused

PLATFORM = '[platform]\nname = "x"\n'
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write `dbops.toml` into a folder of its own, in which the test then stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DBOPS_CONFIG", raising=False)

    def written(text: str, *, platform: str = PLATFORM) -> Path:
        path = tmp_path / "dbops.toml"
        path.write_text(platform + text, encoding="utf-8")
        return path

    return written


def problems(path: Path) -> str:
    with pytest.raises(ConfigInvalid) as told:
        load(path)
    return told.value.message


def test_everything_that_is_wrong_is_told_at_once_with_its_path_and_the_nearest_key(write: Write) -> None:
    told = problems(
        write(
            """
            zone = "Nowhere/Else"
            ledgr = "x"
            [cluster.main]
            dsn = "host=a password=hunter22"
            objectives = { rpo = "5 parsecs" }
            [postgres.main]
            cluster = "mian"
            dsn = ""
            tls = { mod = "require" }
            [postgres.Upper]
            cluster = "main"
            dsn = ""
            [roles.r]
            logn = true
            connection_limit = "4"
            clusters = ["other"]
            [[grants]]
            to = "s"
            databases = ["maim"]
            """
        )
    )
    for line in (
        "platform.ledgr: no such key; did you mean 'ledger'?",
        "platform.zone: there is no time zone 'Nowhere/Else' here",
        "cluster.main.dsn: holds a literal password",
        "cluster.main.objectives.rpo: '5 parsecs' is not a duration",
        "postgres.main: cluster.main has this name already; names are unique over all sections",
        "postgres.main.cluster: there is no [cluster.mian]; did you mean 'main'?",
        "postgres.main.tls.mod: no such key; did you mean 'mode'?",
        "postgres.Upper: a target's name is small letters",
        "roles.r.logn: no such key; did you mean 'login'?",
        "roles.r.connection_limit: input should be a valid integer",
        "roles.r.clusters: there is no [cluster.other]",
        "grants.0.to: there is no [roles.s]",
        "grants.0.databases: there is no [postgres.maim]; did you mean 'main'?",
    ):
        assert line in told
    assert "hunter22" not in told


@pytest.mark.parametrize("section", ["postgres", "redis"])
def test_names_are_unique_over_all_sections(write: Write, section: str) -> None:
    body = {"postgres": 'cluster = "one"\ndsn = ""', "redis": 'url = "redis://h"'}[section]
    told = problems(write(f'[cluster.one]\ndsn = ""\n[{section}.one]\n{body}\n'))
    assert f"{section}.one: cluster.one has this name already" in told


@pytest.mark.parametrize("name", ["x\\n", "-x", "../x", "a b", "x" * 49, "", "\\u001b[31m"])
def test_a_name_that_could_not_name_a_file_is_refused_and_shown_in_one_harmless_line(write: Write, name: str) -> None:
    told = problems(write(f'[cluster."{name}"]\ndsn = ""\n'))
    assert "a target's name is small letters" in told
    assert "\x1b" not in told
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize(
    "line",
    [
        'dsn = "host=a password=hunter22"',
        "dsn = \"host=a password='hunter 22'\"",
        'dsn = "host=a PASSWORD = hunter22"',
        'dsn = "host=a password=${A}hunter22"',
        'dsn = "postgresql://u:hunter22@h/d"',
        'dsn = "postgresql://u:hunter22@x@h/d"',
        'dsn = "postgresql://h/d?password=hunter22"',
        'dsn = ""\npassword = "hunter22"',
        'dsn = ""\npassword = ""',
    ],
)
def test_a_literal_password_is_an_error_that_does_not_repeat_it(write: Write, line: str) -> None:
    told = problems(write(f"[cluster.main]\n{line}\n"))
    assert "literal" in told
    assert "hunter22" not in told
    assert '"${ENV_NAME}"' in told


@pytest.mark.parametrize(
    "line",
    [
        'dsn = "host=a password=${A}"',
        "dsn = \"host=a password='${A}'\"",
        'dsn = "postgresql://${U}:${P}@h/d"',
        'dsn = "postgresql://h/d?password=${P}&sslmode=require"',
        'dsn = "${DSN}"',
        'dsn = ""\npassword = "${A}"',
        'dsn = ""\npassword = { file = "secret" }',
    ],
)
def test_a_reference_is_no_literal_password(write: Write, line: str) -> None:
    assert load(write(f"[cluster.main]\n{line}\n")).config.cluster["main"]


@pytest.mark.parametrize(
    "line",
    [
        'login = "true"',
        "login = 1",
        'connection_limit = "1"',
        "connection_limit = 1.5",
        "comment = 5",
        "comment = 1979-05-27",
    ],
)
def test_a_value_of_another_type_is_not_bent_into_shape(write: Write, line: str) -> None:
    assert f"roles.r.{line.split(maxsplit=1)[0]}: input should be" in problems(write(f"[roles.r]\n{line}\n"))


def test_relative_paths_begin_beside_the_configuration(write: Write, tmp_path: Path) -> None:
    path = write(
        """
        state_dir = "state"
        [cluster.main]
        dsn = ""
        pgbackrest_config = "backrest.conf"
        password = { file = "secrets/admin" }
        tls = { root_cert = "/etc/ca.crt" }
        """
    )
    loaded = load(path)
    main = loaded.config.cluster["main"]
    assert main.password == SecretFile(file=tmp_path / "secrets" / "admin")
    assert main.pgbackrest_config == tmp_path / "backrest.conf"
    assert main.tls is not None
    assert main.tls.root_cert == Path("/etc/ca.crt")
    assert loaded.state_dir == tmp_path / "state" == find.state_dir_of(path)


def test_the_state_directory_is_that_of_the_platform(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    path = write("")
    assert load(path).state_dir == find.state_dir_of(path) == Path("/var/state/dbops/x")


# ── Where the configuration is found ─────────────────────────────────────────────────────────────


def test_it_is_found_by_option_then_variable_then_upwards(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find.find(None) == (path, False)
    monkeypatch.setenv("DBOPS_CONFIG", "/some/where.toml")
    assert find.find(None) == (Path("/some/where.toml"), True)
    assert find.find(Path("other.toml")) == (Path("other.toml"), True)


def test_production_that_was_only_found_is_not_changed(write: Write) -> None:
    path = write("", platform='[platform]\nname = "x"\nenvironment = "production"\n')
    assert load(None).config.platform.environment == "production"
    assert load(path, changing=True).path == path
    with pytest.raises(Refused, match="searching upwards") as refused:
        load(None, changing=True)
    assert f"--config {path}" in str(refused.value.hint)


def test_a_working_directory_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.delenv("DBOPS_CONFIG", raising=False)
    gone.rmdir()
    with pytest.raises(ConfigInvalid, match="working directory is gone"):
        find.find(None)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "platform: field required"),
        (b"name = ", "not valid TOML"),
        (b"name = '\xff'", "not UTF-8"),
        (b"x = " + b"[" * 100_000, "not valid TOML"),
        (b"x = " + b"9" * 5000, "not valid TOML"),
        (b'x = "' + b"y" * 1_000_000 + b'"', "x: no such key"),
        (b"platform = 5", "platform: input should be"),
        (b'[platform]\nname = "x"\n[[postgres]]\n', "postgres: input should be"),
        (b'grants = 5\nroles = "x"\n', "grants: input should be"),
    ],
    ids=["empty", "broken", "not-utf8", "deep", "long-number", "long-line", "no-table", "array", "scalars"],
)
def test_a_file_that_is_no_configuration_is_told_in_one_paragraph(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "dbops.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigInvalid, match=told) as error:
        load(path)
    assert len(error.value.message) < 1000


@pytest.mark.parametrize("kind", ["absent", "folder"])
def test_a_configuration_that_cannot_be_read_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "absent" if kind == "absent" else tmp_path
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load(path)


def test_a_mark_of_byte_order_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "dbops.toml"
    path.write_bytes(b"\xef\xbb\xbf" + PLATFORM.encode())
    assert load(path).config.platform.name == "x"


# ── Secrets ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("hunter22\n")
    path.chmod(0o600)
    return path


def test_a_secret_file_gives_its_line_and_is_blanked_from_then_on(secret: Path) -> None:
    assert resolve(SecretFile(file=secret), target="t") == "hunter22"
    assert redact.redact("is it hunter22?") == "is it ***?"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("# created: 2026-11-20\n# public key: age1xyz\nAGE-SECRET-KEY-1ABC\n", "AGE-SECRET-KEY-1ABC"),
        ("-----BEGIN KEY-----\nabcd\nefgh\n-----END KEY-----\n", "-----BEGIN KEY-----\nabcd\nefgh\n-----END KEY-----"),
        ("#starts-with-a-hash\n", "#starts-with-a-hash"),
    ],
)
def test_remarks_beside_a_secret_and_keys_of_several_lines_are_read(tmp_path: Path, text: str, secret: str) -> None:
    file = tmp_path / "secret"
    file.write_text(text)
    file.chmod(0o600)
    assert resolve(SecretFile(file=file), target="t") == secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_secret_file_that_others_can_open_is_refused(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    with pytest.raises(ConfigInvalid, match="can be read by others") as error:
        resolve(SecretFile(file=secret), target="t")
    assert "chmod 600" in str(error.value.hint)
    assert error.value.target == "t"


@pytest.mark.parametrize("data", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", b"a\0b", b"x" * 100_000])
def test_a_secret_file_without_one_line_of_text_is_refused(secret: Path, data: bytes) -> None:
    secret.write_bytes(data)
    with pytest.raises(ConfigInvalid, match="does not hold one line of text"):
        resolve(SecretFile(file=secret), target="t")


@pytest.mark.parametrize("kind", ["absent", "folder", "nul"])
def test_a_secret_file_that_cannot_be_read_is_told(tmp_path: Path, kind: str) -> None:
    path = {"absent": tmp_path / "absent", "folder": tmp_path, "nul": Path("a\0b")}[kind]
    with pytest.raises(ConfigInvalid, match="secret file"):
        resolve(SecretFile(file=path), target="t")


def test_a_pipe_in_the_place_of_a_secret_file_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(ConfigInvalid, match="does not hold one line"):
        resolve(SecretFile(file=pipe), target="t")


@pytest.mark.parametrize(("value", "told"), [(None, "is not set"), ("", "is empty")])
def test_a_variable_that_gives_no_secret_is_told_with_its_target(
    monkeypatch: pytest.MonkeyPatch, value: str | None, told: str
) -> None:
    monkeypatch.delenv("DBOPS_T", raising=False)
    if value is not None:
        monkeypatch.setenv("DBOPS_T", value)
    with pytest.raises(ConfigInvalid, match=f"DBOPS_T {told}") as error:
        resolve("${DBOPS_T}", target="orders")
    assert (error.value.target, error.value.exit_code) == ("orders", ExitCode.CONFIG)


VALUES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1)


@given(
    VALUES,
    st.sampled_from(["password=${P} user=x", "user=x password='${P}'", "password = ${P}", "user=x password=${P}"]),
)
def test_any_password_fits_into_a_connection_string(password: str, text: str) -> None:
    filled, secrets = fill(text, lambda _: password)
    assert conninfo_to_dict(filled)["password"] == password
    assert password in secrets


@given(VALUES, VALUES)
def test_any_user_and_password_fit_into_a_url(user: str, password: str) -> None:
    filled, secrets = fill("postgresql://${U}:${P}@host/db", {"U": user, "P": password}.__getitem__)
    told = conninfo_to_dict(filled)
    assert (told["user"], told["password"], told["host"]) == (user, password, "host")
    assert password in secrets


@given(VALUES)
def test_a_value_is_not_filled_again(value: str) -> None:
    assert fill("${A}", lambda _: "${A}" + value)[0] == "${A}" + value


@pytest.mark.parametrize(
    "text", ["host=${H} port=5432", "postgresql://u@${H}/db", "rediss://${H}:6380/0", "host=a dbname=${H}", "user=${H}"]
)
def test_where_and_who_is_no_secret(text: str) -> None:
    assert fill(text, lambda _: "localhost")[1] == []


def test_a_whole_connection_string_in_a_variable_hides_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_T", make_conninfo("", host="h", password="open sesame 1"))
    told = conninfo_to_dict(resolve("${DBOPS_T}", target="t"))
    assert told["host"] == "h"
    assert "sesame" not in redact.redact("it was 'open sesame 1'")


def test_a_generated_secret_is_closed_to_others_and_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    value = generate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert resolve(SecretFile(file=path), target="t") == value
    with pytest.raises(Exception, match="cannot be written"):
        generate(path)
    assert [p.name for p in path.parent.iterdir()] == ["secret"]
    assert path.read_text() == f"{value}\n"


def test_the_dsn_of_a_replica_is_read_as_any_other(write: Write) -> None:
    target = '[cluster.main]\ndsn = ""\n[postgres.a]\ncluster = "main"\ndsn = ""\n'
    assert "postgres.a.replicas.1: holds a literal password" in problems(
        write(f'{target}replicas = ["host=b", "host=c password=hunter22"]\n')
    )
    assert "postgres.a.replicas.0: has no word 'hsot'" in problems(write(f'{target}replicas = ["hsot=b"]\n'))
    config = load(write(f'{target}replicas = ["host=${{STANDBY}}"]\n')).config
    assert [(one.key, one.reference) for one in references.tried(config)] == [("postgres.a.replicas.0", "${STANDBY}")]


# ── What config prints ───────────────────────────────────────────────────────────────────────────


def test_the_template_is_valid_and_every_reference_resolves_once_its_variables_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse(tomllib.loads(template.TEXT), tmp_path / "dbops.toml")
    before = list(references.tried(config))
    assert {one.state for one in before} == {"missing", "will be generated"}
    for one in before:
        if one.reference.startswith("${"):
            monkeypatch.setenv(one.reference[2:-1], "open sesame")
    assert {one.state for one in references.tried(config)} == {"ok", "will be generated"}


def test_what_the_template_keeps_as_comments_is_valid_too(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=\w+ = )", "", template.TEXT, flags=re.MULTILINE)
    assert text.count("\nstanza = ") == 1
    config = parse(tomllib.loads(text), tmp_path / "dbops.toml")
    assert config.cluster["main"].stanza == "main"


def test_the_schema_describes_every_section_and_forbids_the_rest() -> None:
    schema = Config.model_json_schema()
    assert json.dumps(schema)
    assert set(schema["properties"]) == set(Config.model_fields)
    assert schema["additionalProperties"] is False


def test_a_duration_is_shown_as_exactly_as_it_was_written(write: Write) -> None:
    loaded = load(write('[cluster.main]\ndsn = ""\nobjectives = { rpo = "1h 30m 5s" }\n'))
    shown = loaded.config.model_dump(mode="json", by_alias=True)
    assert shown["cluster"]["main"]["objectives"]["rpo"] == "1h 30m 5s"
    assert parse(_without_nothing(shown), Path("dbops.toml")) == loaded.config


def _without_nothing(value: object) -> dict[str, object]:
    """TOML has no null."""
    return json.loads(json.dumps(value), object_hook=lambda d: {k: v for k, v in d.items() if v is not None})


def test_a_date_may_be_written_as_toml_writes_dates_or_as_text(tmp_path: Path) -> None:
    segment = "0000000100000000000000A1"
    for on in ("2026-08-02", '"2026-08-02"'):
        lost = f'{{ from = "{segment}", to = "{segment}", reason = "disk", on = {on} }}'
        text = f'[platform]\nname = "x"\n[cluster.main]\ndsn = "host=x"\nbackup.lost = [{lost}]\n'
        config = parse(tomllib.loads(text), tmp_path / "dbops.toml")
        assert config.cluster["main"].backup.lost[0].on == date(2026, 8, 2)


def test_an_instant_is_no_date_and_lost_wal_runs_forward_on_one_timeline(tmp_path: Path) -> None:
    one, two = "0000000100000000000000A1", "0000000200000000000000A2"
    for first, last, on in ((one, one, "2026-08-02T10:00:00Z"), (two, one, "2026-08-02"), (one, two, "2026-08-02")):
        lost = f'{{ from = "{first}", to = "{last}", reason = "disk", on = {on} }}'
        text = f'[platform]\nname = "x"\n[cluster.main]\ndsn = "host=x"\nbackup.lost = [{lost}]\n'
        with pytest.raises(ConfigInvalid, match=r"cluster\.main\.backup\.lost"):
            parse(tomllib.loads(text), tmp_path / "dbops.toml")
