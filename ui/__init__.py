"""The page: shows what the workflows give back, and decides nothing."""
