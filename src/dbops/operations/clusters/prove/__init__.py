"""Whether backups would bring the cluster back: read, counted, compared, and where it was found wanting, told."""
