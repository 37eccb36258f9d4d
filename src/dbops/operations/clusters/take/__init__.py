"""Taking backups: what is due, one backup for each repository, and the configuration that it needs."""
