"""Least-privilege roles, memberships, grants and owners, as the configuration declares them."""
