"""Making the networks learn, and finding out what they learned."""
