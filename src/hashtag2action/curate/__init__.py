"""One video in, at most one clip of people acting out, and why."""
