"""The library page: which folders there are, what became of every file, and looking after the gallery."""
