"""Whom we talk to: how each store is reached, and what its errors mean."""
