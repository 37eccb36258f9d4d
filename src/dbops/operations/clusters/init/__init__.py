"""Bringing a cluster under backup, and judging how it is: server, archiver, configuration, repositories."""
