"""Measures of an edit: what changed, where, and how much; one file a metric."""
