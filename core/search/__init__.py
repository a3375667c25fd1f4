"""The search index: what is derived from the rows so that they are found by meaning and by pattern."""
