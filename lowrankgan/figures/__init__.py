"""Figures: pure functions from arrays and tables to a matplotlib Figure; one file a figure."""
