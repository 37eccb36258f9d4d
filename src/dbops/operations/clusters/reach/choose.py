"""Which way leads to a moment; pure."""
