"""Tables of features: reached through entry points only."""
