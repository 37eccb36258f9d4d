"""`dbops backup`: clusters under backup, their backups, and whether those would bring the cluster back."""

from dbops.cli import backup_expire
from dbops.cli.door import family

app = family("backup")

backup_expire.verbs(app)
