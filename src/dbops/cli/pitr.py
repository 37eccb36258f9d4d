"""`dbops pitr`: any moment of a cluster, within what its repository can bring back."""

from dbops.cli import pitr_reach, pitr_restore
from dbops.cli.door import family

app = family("pitr")

pitr_reach.verbs(app)
pitr_restore.verbs(app)
