"""Where databases and their open changes stand: cheap enough to look at a hundred of them at once."""
