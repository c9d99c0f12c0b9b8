"""Which hashtags to collect: candidates, the six principles, popularity, and the budget of requests."""
