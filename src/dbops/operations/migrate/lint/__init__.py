"""House rules for schemas: what a history builds and how its revisions are written, judged before anybody runs it."""
