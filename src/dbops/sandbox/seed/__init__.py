"""Plausible data for a sandbox: the same rows, documents, entries and keys every time, with references that hold."""
