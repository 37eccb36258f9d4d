"""What a command inside the sandbox is given by its environment."""

from pathlib import Path

from dbops.errors import Refused
from dbops.sandbox.facts import SUPERUSER
from dbops.sandbox.layout import at
from dbops.servers import postgres


def environment(folder: Path) -> dict[str, str]:
    """Name the configuration, every secret, and a superuser's DSN of the cluster."""
    layout = at(folder)
    if not layout.config.exists():
        raise Refused(f"there is no complete sandbox in {layout.root}", hint=f"dbops sandbox up --dir {layout.root}")
    names = sorted(file.name for file in layout.secrets.iterdir() if not file.name.startswith("."))
    return {
        "DBOPS_CONFIG": str(layout.config),
        "DBOPS_SANDBOX_POSTGRES": postgres.conninfo(layout.server, password=layout.secret(SUPERUSER)),
        **{f"DBOPS_SANDBOX_{name.upper()}_PASSWORD": layout.secret(name) for name in names},
    }
