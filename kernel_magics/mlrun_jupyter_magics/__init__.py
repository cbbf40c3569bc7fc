"""IPython magics: each a short adapter that parses a line, makes one call of the core, and shows the result."""
