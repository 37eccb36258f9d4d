"""Servers that answer as Azure's services do, for the sandbox and the tests."""
