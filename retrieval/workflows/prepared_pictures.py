"""Pictures for training from the files of a dataset, decoded in killable processes."""

from retrieval.core.errors import Interrupted
from retrieval.core.labelled import Labelled
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Settings, available_cores
from retrieval.datasets.prepared import Prepared, prepare, side_for
from retrieval.images.pool import DecodePool
from retrieval.workflows.train_request import TrainingHooks


def prepared_pictures(
    images: Labelled,
    spec: Preprocessing,
    settings: Settings,
    hooks: TrainingHooks,
    *,
    workers: int | None = None,
    needs_labels: bool = True,
) -> Prepared:
    """Decode what is not in the user's cache yet; see ``datasets.prepare``.

    Args:
        images: the dataset.
        spec: of the encoder, for the size.
        settings: where the cache is, and the decoders' limits.
        hooks: told how far it is; its ``stop`` is asked at every image.
        workers: decoding processes; as many as there are cores by default.
        needs_labels: whether what can be read must suffice to learn labels from.

    Raises:
        BadValue, DiskFull, PoolError: see ``datasets.prepare``.
        Interrupted: ``hooks.stop`` said so.
    """

    def progress(done: int, total: int) -> None:
        hooks.working("Preparing pictures", done, total)
        if hooks.stop():
            raise Interrupted("Stopped while pictures were prepared.", "The same command goes on from here.")

    workers = workers or available_cores()
    with DecodePool(workers, settings.limits, settings.plugins) as pool:
        folder, side = settings.cache / "prepared", side_for(spec)
        return prepare(images, pool, folder, side, workers=workers, needs_labels=needs_labels, progress=progress)
