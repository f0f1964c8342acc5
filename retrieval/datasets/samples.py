"""The project's own labelled sample images, drawn by ``data/make_samples.py``."""

from pathlib import Path

from retrieval.core.errors import NoSuchPath


def samples_folder() -> Path:
    """The folder of class folders: in an installed package beside this file, in a checkout in ``data/samples``.

    Raises:
        NoSuchPath: neither is there.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "samples", here.parent.parent / "data" / "samples"):
        if folder.is_dir():
            return folder
    raise NoSuchPath("The sample images are not there.", "Run `python data/make_samples.py` in a checkout.")
