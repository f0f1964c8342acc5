"""The page on which pictures are given their labels: what a browser asks, what is done about it, and how it looks."""
