"""The tables of all languages, and which of them a browser wants."""

from dataclasses import dataclass

from ui.words import (
    doubts,
    errors,
    jobs,
    labels_texts,
    library,
    matching,
    refine,
    search,
    shell,
    teach_texts,
    understand_texts,
    writing,
)
from ui.words.doubts import DoubtWords
from ui.words.errors import ErrorWords
from ui.words.jobs import JobWords
from ui.words.labels import LabelWords
from ui.words.library import LibraryWords
from ui.words.matching import MatchWords
from ui.words.refine import RefineWords
from ui.words.search import SearchWords
from ui.words.shell import ShellWords
from ui.words.teach import TeachWords
from ui.words.understand import UnderstandWords
from ui.words.writing import WritingWords


@dataclass(frozen=True, slots=True)
class Words:
    """All texts of one language.

    Attributes:
        code: as browsers name the language, e.g. ``"zh-CN"``.
        name: what its speakers call it.
    """

    code: str
    name: str
    writing: WritingWords
    shell: ShellWords
    search: SearchWords
    teach: TeachWords
    jobs: JobWords
    library: LibraryWords
    doubts: DoubtWords
    labels: LabelWords
    refine: RefineWords
    matching: MatchWords
    understand: UnderstandWords
    errors: ErrorWords


ENGLISH = Words(
    code="en",
    name="English",
    writing=writing.ENGLISH,
    shell=shell.ENGLISH,
    search=search.ENGLISH,
    teach=teach_texts.ENGLISH,
    jobs=jobs.ENGLISH,
    library=library.ENGLISH,
    doubts=doubts.ENGLISH,
    labels=labels_texts.ENGLISH,
    refine=refine.ENGLISH,
    matching=matching.ENGLISH,
    understand=understand_texts.ENGLISH,
    errors=errors.ENGLISH,
)

CHINESE = Words(
    code="zh-CN",
    name="简体中文",
    writing=writing.CHINESE,
    shell=shell.CHINESE,
    search=search.CHINESE,
    teach=teach_texts.CHINESE,
    jobs=jobs.CHINESE,
    library=library.CHINESE,
    doubts=doubts.CHINESE,
    labels=labels_texts.CHINESE,
    refine=refine.CHINESE,
    matching=matching.CHINESE,
    understand=understand_texts.CHINESE,
    errors=errors.CHINESE,
)

LANGUAGES: dict[str, Words] = {words.code: words for words in (ENGLISH, CHINESE)}
"""The first one is for everybody whose language is not here."""


def language_of(chosen: str | None, accepted: str) -> Words:
    """The language to answer in.

    Args:
        chosen: code that the person chose before, if any; one that is unknown counts for nothing.
        accepted: the header ``Accept-Language`` (RFC 9110, 12.5.4).
    """
    if chosen in LANGUAGES:
        return LANGUAGES[chosen]
    for wanted in _by_preference(accepted):
        for words in LANGUAGES.values():
            # Any kind of Chinese is nearer to this one than to English.
            if wanted.partition("-")[0] == words.code.partition("-")[0]:
                return words
    return ENGLISH


def _by_preference(accepted: str) -> list[str]:
    """The tags of the header, most wanted first; those that are refused or malformed are left out."""
    found: list[tuple[float, str]] = []
    for part in accepted.lower().split(","):
        tag, _, quality = part.strip().partition(";")
        value = quality.strip().removeprefix("q=") or "1"
        try:
            weight = float(value)
        except ValueError:
            continue
        if tag.strip() and 0 < weight <= 1:
            found.append((weight, tag.strip()))
    return [tag for _, tag in sorted(found, key=lambda one: -one[0])]
