"""How pgBackRest is run: as the owner of the cluster, with its secrets in the environment.

As root it would leave files behind that its owner's next run cannot read.
"""

import os
import pwd
from collections.abc import Callable, Collection, Mapping

from dbops import process
from dbops.config.load import resolve
from dbops.config.model import Cluster
from dbops.errors import ConfigInvalid, Refused
from dbops.redact import register
from dbops.stores.pgbackrest.said import told

_HINT = "install it: apt install pgbackrest"


def run_as(place: Cluster, *, target: str) -> str | None:
    """Name the account that pgBackRest runs as: the configured one, otherwise the cluster's owner."""
    if place.run_as is not None:
        return place.run_as
    if place.data_directory is not None and place.data_directory.exists():
        owner = place.data_directory.stat().st_uid
        try:
            return pwd.getpwuid(owner).pw_name
        except KeyError:
            return None
    if os.geteuid() == 0:
        raise Refused(
            "pgBackRest as root leaves files that break later runs",
            hint=f'name the owner of the data directory: [cluster.{target}] run_as = "postgres"',
            target=target,
        )
    return None


def refuse_wrong_account(place: Cluster, *, target: str) -> None:
    """Refuse before anything is done: what another account leaves in a repository breaks the owner's next run."""
    account = run_as(place, target=target)
    if account is not None and account != process.current_user() and os.geteuid() != 0:
        raise Refused(
            f"backups of {target} are taken as {account}, and this is {process.current_user()}",
            hint=f"run dbops as {account} or as root",
            target=target,
        )


def run(
    place: Cluster,
    command: str,
    *options: str,
    target: str,
    connects: bool = True,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    on_block: Callable[[bytes], None] | None = None,
    timeout: float | None = None,
    ok: Collection[int] = (0,),
) -> process.Finished:
    """Run one command for the cluster's stanza; `connects` gives it the administrator's password."""
    if place.stanza is None:
        raise ConfigInvalid("the cluster has no stanza", hint=f'set [cluster.{target}] stanza = "..."', target=target)
    refuse_wrong_account(place, target=target)
    config = () if place.pgbackrest_config is None else (f"--config={place.pgbackrest_config}",)
    secrets = _ciphers(place, target)
    if connects and place.password is not None:
        secrets["PGPASSWORD"] = resolve(place.password, target=target)
    # INFO goes to stdout; errors, warnings and hints go to stderr, without a time.
    argv = [
        *(process.find("pgbackrest", hint=_HINT), *config, f"--stanza={place.stanza}"),
        *("--log-level-stderr=warn", command, *options),
    ]
    try:
        return process.run(
            argv,
            env=_own_settings() | secrets | dict(env or {}),
            user=run_as(place, target=target),
            on_line=on_line,
            on_block=on_block,
            timeout=timeout,
            ok=ok,
        )
    except process.ProgramFailed as error:
        raise told(error, target) from error


def secrets(place: Cluster, *, target: str) -> dict[str, str]:
    """Return the environment of a program that runs pgBackRest itself, such as a server with a restore_command."""
    return _own_settings() | _ciphers(place, target)


def _ciphers(place: Cluster, target: str) -> dict[str, str]:
    return {
        f"PGBACKREST_REPO{key}_CIPHER_PASS": resolve(one.cipher, target=target)
        for key, one in place.repository.items()
        if one.cipher is not None
    }


def _own_settings() -> dict[str, str]:
    """Pass on what pgBackRest reads from the environment, such as the pass of its cipher."""
    told = {name: value for name, value in os.environ.items() if name.startswith("PGBACKREST_")}
    for name, value in told.items():
        if name.endswith(("_PASS", "_KEY", "_KEY_SECRET", "_TOKEN")):
            register(value)
    return told
