"""Materialized views: what they read, how fresh they are, and how they are refreshed without stalling anybody."""
