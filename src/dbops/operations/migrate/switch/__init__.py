"""Let readers follow to the new, by and by; with the last of them the catalog follows, and the soak begins."""
