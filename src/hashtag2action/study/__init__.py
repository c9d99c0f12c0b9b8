"""What the paper measures: how much data is enough, which data is better."""
