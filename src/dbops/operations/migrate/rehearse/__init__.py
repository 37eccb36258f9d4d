"""Rehearse a change: its whole life on a throw-away copy of the database, with load beside it."""
