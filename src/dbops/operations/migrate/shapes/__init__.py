"""What evolves: each shape of a change, and the SQL of each of its phases. Pure."""
