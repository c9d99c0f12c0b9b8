"""`python -m hashtag2action` is `h2a`."""

from hashtag2action.cli import main

main()
