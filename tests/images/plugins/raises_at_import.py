"""A plugin that cannot be imported."""

raise ImportError("libfancy.so.7 is not installed")
