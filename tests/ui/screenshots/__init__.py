"""Pictures of the pages, for the README and to be looked at; see ``__main__``."""
