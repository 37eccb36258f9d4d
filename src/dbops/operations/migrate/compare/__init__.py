"""Compare old with new, in both directions: a change is verified, or the keys of the rows that differ are told."""
