"""Videos and what is said of them, from wherever they are, into the catalog."""
