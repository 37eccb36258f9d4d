"""What each statement of a revision will do to a running application, asked of PostgreSQL itself on a clone."""
