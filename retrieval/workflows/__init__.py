"""The only place where the parts meet. Every journey is one call down and one value back."""
