"""The page on which a gallery's encoder is taught: what it asks of the workflows, and its pieces as HTML."""
