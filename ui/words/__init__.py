"""Every text that a person sees, in every language: one file an area of the page, one typed table a language."""

from ui.words.table import CHINESE, ENGLISH, LANGUAGES, Words, language_of

__all__ = ["CHINESE", "ENGLISH", "LANGUAGES", "Words", "language_of"]
