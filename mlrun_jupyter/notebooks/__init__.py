"""Notebook cells as functions: analysis, building, execution, the journal."""
