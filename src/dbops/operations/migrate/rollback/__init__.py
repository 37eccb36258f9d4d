"""The way back, at every phase before the old is gone, keeping what new writers wrote."""
