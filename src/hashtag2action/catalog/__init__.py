"""Where everything is recorded: videos, clips, runs."""
