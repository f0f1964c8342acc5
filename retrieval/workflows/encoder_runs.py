"""The training run that made an encoder: found by where the encoder lies, or by what a gallery has recorded."""

from contextlib import suppress
from pathlib import Path

from retrieval.core.errors import BadValue
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.run_folder import RunFolder


def run_around(path: Path, fingerprint: str) -> RunFolder | None:
    """The run in whose folder an encoder lies that it made; None where there is none, or it made another one."""
    run = RunFolder(path.absolute().parent)
    if not path.is_dir() or not run.metrics.exists():
        return None
    with suppress(BadValue, AttributeError):
        return run if run.read(run.metrics.name).get("result", {}).get("fingerprint") == fingerprint else None
    return None


def recorded_run(gallery: Gallery, fingerprint: str) -> RunFolder | None:
    """The newest run that a gallery knows to have made an encoder, where its folder is still there."""
    for run in reversed(gallery.catalog.runs.all(fingerprint)):
        folder = RunFolder(Path(run.folder.decode(errors="surrogateescape")))
        if folder.metrics.exists():
            return folder
    return None
