"""Schemas as Alembic revisions: one linear history for each database."""
