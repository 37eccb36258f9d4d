"""How data is moved and compared: whatever reads, writes or digests whole data sets lives here, once."""
