"""What `dbops.toml` says."""
