"""The training run that made an encoder: found by where the encoder lies, or by what a gallery has recorded."""

from contextlib import suppress
from pathlib import Path

from retrieval.core.errors import BadValue
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.run_folder import RunFolder


def run_around(path: Path, fingerprint: str) -> RunFolder | None:
    """The run that made an encoder and is named by its folder, or by the encoder's in it; None where there is none, or
    it made another one."""
    if not path.is_dir():
        return None
    for folder in (path.absolute(), path.absolute().parent):
        run = RunFolder(folder)
        with suppress(BadValue, AttributeError):
            if run.metrics.exists() and run.read(run.metrics.name).get("result", {}).get("fingerprint") == fingerprint:
                return run
    return None


def recorded_run(gallery: Gallery, fingerprint: str) -> RunFolder | None:
    """The newest run that a gallery knows to have made an encoder, where its folder is still there."""
    for run in reversed(gallery.catalog.runs.all(fingerprint)):
        folder = RunFolder(Path(run.folder.decode(errors="surrogateescape")))
        if folder.metrics.exists():
            return folder
    return None
