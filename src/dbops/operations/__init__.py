"""What it means: one package for each family of operations; they are strangers to one another."""
