"""Runs: the context inside, submitting, supervising, reconciling."""
