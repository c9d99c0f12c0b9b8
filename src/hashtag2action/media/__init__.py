"""Reading pixels out of files that nobody vouches for."""
