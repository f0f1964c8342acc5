"""Measurements against loops, other ways to the same number, and cases worked by hand."""
