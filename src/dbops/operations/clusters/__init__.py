"""Clusters: physical backups of a PostgreSQL server, and any moment of it back."""
