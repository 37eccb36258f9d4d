"""Fill what a change added, for the rows that were there before it: in batches, at a pace that nobody feels."""
