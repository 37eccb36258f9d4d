"""What spans the stores."""
