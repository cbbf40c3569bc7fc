"""The contracts between the core and its backends: small, so that a stranger can write a backend in one file."""
