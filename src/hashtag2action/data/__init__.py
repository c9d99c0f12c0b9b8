"""Training views of clips."""
