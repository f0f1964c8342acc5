"""The crash suite: a gallery is killed, filled up and damaged in every way we could think of, and must stay true."""
