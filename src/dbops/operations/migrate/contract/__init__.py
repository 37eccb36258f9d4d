"""The end of a change: the old goes away when evidence shows that nobody uses it."""
