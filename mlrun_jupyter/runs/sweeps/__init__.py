"""The parts of a sweep that need neither store nor process: what is tried, what is best, when to stop, how it is shown."""
