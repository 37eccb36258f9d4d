"""What we start: one server in one folder, and how it dies."""
