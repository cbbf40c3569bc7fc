"""What the product talks about: frozen specifications without I/O."""
