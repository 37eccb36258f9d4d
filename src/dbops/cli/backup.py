"""`dbops backup`: clusters under backup, their backups, and whether those would bring the cluster back."""

from dbops.cli import backup_expire, backup_init, backup_list, backup_run, backup_verify
from dbops.cli.door import family

app = family("backup")

backup_init.verbs(app)
backup_expire.verbs(app)
backup_run.verbs(app)
backup_list.verbs(app)
backup_verify.verbs(app)
