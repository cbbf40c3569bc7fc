"""What the routes do: plain functions, called in a thread."""
