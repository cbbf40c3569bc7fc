"""Conformance kits for backends, to subclass in their tests."""
