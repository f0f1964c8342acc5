"""Labels in doubt: the newest check as it stands now, and a person's answers, which become labels like any others."""

from pathlib import Path

from retrieval.core.errors import BadValue
from retrieval.workflows.jobs import Job, Jobs, State
from retrieval.workflows.label_check import LabelCheck
from retrieval.workflows.label_doubts import confirm, correct, kept_check, open_doubts
from retrieval.workflows.labelling import tiles
from ui.library.doubt_cards import Checked
from ui.notices import render_notice
from ui.words import Words

KIND = "label-check"


def newest_check(gallery: Path, jobs: Jobs) -> Checked | None:
    """The newest check that ended well; None where there is none. Raises EmptyGallery."""
    job = next((job for job in jobs.list() if job.kind == KIND and job.state is State.DONE), None)
    found = None if job is None else kept_check(jobs.folder(job.id).label_check)
    if job is None or found is None:
        return None
    waiting = open_doubts(gallery, found.doubts)
    ids = [*(doubt.image_id for doubt in waiting), *(outlier.image_id for outlier in found.outliers)]
    return Checked(job, found, waiting, {tile.id: tile for tile in tiles(gallery, ids)})


def answer_doubt(gallery: Path, jobs: Jobs, value: str, words: Words, *, is_right: bool) -> str:
    """Say that a doubted label is right, or that the neighbours' is; gives what is told.

    Args:
        gallery: its folder.
        jobs: of the gallery.
        value: of a button: the job and the image; comes from the browser.
        words: the reader's language.
        is_right: the doubted label is.

    Raises:
        BadValue: there is no such doubt, or it is answered.
        GalleryBusy: another process is writing.
    """
    said = words.doubts
    number, _, rest = value.partition("|")
    image = rest.partition("|")[0]
    found = _check(jobs, number)
    doubt = next((one for one in found.doubts if str(one.image_id) == image), None) if found else None
    if doubt is None:
        raise BadValue("This label is not in doubt any more.", "Look at the list again.")
    (confirm if is_right else correct)(gallery, doubt)
    text = (said.confirmed if is_right else said.given).format(label=doubt.label, instead=doubt.instead)
    return render_notice("info", text, said.take_back)


def _check(jobs: Jobs, number: str) -> LabelCheck | None:
    job: Job | None = next((job for job in jobs.list() if str(job.id) == number and job.kind == KIND), None)
    return None if job is None else kept_check(jobs.folder(job.id).label_check)
