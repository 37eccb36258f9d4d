"""What a repository can bring back: WAL without gaps, moments within reach, and the way to one of them."""
