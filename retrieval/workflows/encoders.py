"""The encoder of a gallery's space: kept in the gallery, opened once, refused when it is another one."""

import contextlib
import platform
import shutil
import threading
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.core.errors import BadValue, ModelDamaged, ModelMismatch, ModelUnsafe, NoSuchPath, RetrievalError
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import EmbeddingSpace, Pixels, Vectors
from retrieval.models.card import ModelCard
from retrieval.models.folder import read_card, verify_folder
from retrieval.models.resolve import UNTRAINED
from retrieval.models.starter import AUTO, RECOMMENDED, STARTER, starter_card, stronger
from retrieval.workflows.gallery import Gallery

if TYPE_CHECKING:
    from retrieval.models.cells import Cells
    from retrieval.models.encoder import Encoder
    from retrieval.models.runtime import EncoderRuntime
    from retrieval.workflows.live_index import Say

DEFAULT_MODEL = STARTER
"""What a new gallery gets when ``--model`` is not given: it comes with the package, and is fast on a processor."""

_LIBRARIES = ("torch", "timm", "pillow")


class GalleryEncoder:
    """The encoder of a space, with the runtime that is fastest here. Satisfies ``embedding.Embedder``.

    Args:
        gallery: holds the encoder's folder.
        space: whose encoder.
        say: told when a library upgrade changed what the encoder gives.
        remember: what is found out about this machine and its libraries is kept in the catalog. Only for the holder
            of the write lock, who seals the catalog in the end: anybody else's write would leave the seal stale.

    Raises:
        ModelDamaged: the gallery's copy of the encoder is damaged or gone.
    """

    def __init__(
        self, gallery: Gallery, space: EmbeddingSpace, say: "Say" = lambda _: None, *, remember: bool = False
    ) -> None:
        self._gallery = gallery
        self._space = space
        self._say = say
        self._remember = remember
        self._opening = threading.Lock()
        self._explaining = threading.Lock()
        self.card = self.card_of(gallery, space)

    @staticmethod
    def card_of(gallery: Gallery, space: EmbeddingSpace) -> ModelCard:
        """The card alone; no weights are read."""
        folder = gallery.layout.model(space.fingerprint)
        try:
            card = read_card(folder)
        except RetrievalError as error:
            raise _copy_damaged(folder, error.message) from error
        if card.fingerprint != space.fingerprint:
            raise _copy_damaged(folder, "it is another encoder's")
        return card

    @property
    def spec(self) -> Preprocessing:
        """How files become its input."""
        return self.card.preprocessing

    @property
    def batch(self) -> int:
        """The batch size it is fastest with."""
        return self._open().batch

    @property
    def parallel_calls(self) -> int:
        """How many threads should call it at once."""
        return self._open().parallel_calls

    def embed(self, pixels: Pixels) -> Vectors:
        """[n, S, S, 3] to [n, D] float32, unit norm."""
        return self._open().embed(pixels)

    def embed_cells(self, pixels: Pixels) -> "list[Cells]":
        """The embeddings of [n, S, S, 3] pictures cell by cell, in float32; one caller at a time.

        Raises:
            NoGrid: the encoder keeps no grid.
        """
        from retrieval.models.cells import embed_cells

        with self._explaining:
            return embed_cells(self._whole, self.spec, pixels)

    @cached_property
    def _whole(self) -> "Encoder":
        """The encoder with all its parts by name; the runtime's copy is folded and may be in half precision."""
        return self._load()[0]

    def open(self) -> None:
        """Load it now, which takes seconds, and not with the first picture.

        Raises:
            ModelDamaged: the gallery's copy of the encoder is damaged.
        """
        self._open()

    def _open(self) -> "EncoderRuntime":
        # cached_property alone would let two first searches load the encoder twice.
        with self._opening:
            return self._runtime

    @cached_property
    def _runtime(self) -> "EncoderRuntime":
        encoder, card = self._load()
        runtime = open_runtime(self._gallery, encoder, card, remember=self._remember)
        self._compare_probes(runtime)
        return runtime

    def _load(self) -> "tuple[Encoder, ModelCard]":
        from retrieval.models.folder import load_encoder

        folder = self._gallery.layout.model(self._space.fingerprint)
        try:
            return load_encoder(folder)
        except RetrievalError as error:
            raise _copy_damaged(folder, error.message) from error

    def _compare_probes(self, runtime: "EncoderRuntime") -> None:
        """A library upgrade may change what the same weights give: compare with what the space began with."""
        from retrieval.models.probes import probe_embeddings, probes_agree

        key = f"libraries:{self._space.fingerprint[:16]}"
        now = {name: _version(name) for name in _LIBRARIES}
        before = self._gallery.catalog.get(key)
        if before == now:
            return
        if before is not None and not probes_agree(
            self._gallery.catalog.spaces.probes(self._space), probe_embeddings(runtime)
        ):
            changed = ", ".join(f"{n} {before.get(n)} → {now[n]}" for n in now if before.get(n) != now[n])
            self._say(
                f"The encoder gives other embeddings than when this gallery began ({changed}): "
                "neighbours may be wrong. Go back to those versions, or index into a new gallery."
            )
            return
        if self._remember:
            self._gallery.catalog.put(key, now)


def open_runtime(gallery: Gallery, encoder: "Encoder", card: ModelCard, *, remember: bool = False) -> "EncoderRuntime":
    """The fastest way to run an encoder on this machine: as the catalog remembers it, or measured now.

    Args:
        gallery: whose catalog may know it.
        encoder, card: what is to run.
        remember: keep what was measured in the catalog; only for the holder of the write lock.
    """
    from retrieval.models.choice import RuntimeChoice
    from retrieval.models.runtime import EncoderRuntime

    key = f"runtime:{platform.node()}:{card.fingerprint[:16]}"
    known = gallery.catalog.get(key)
    choice = None
    # What cannot be read is measured again.
    with contextlib.suppress(BadValue):
        choice = None if known is None else RuntimeChoice.from_dict(known)
    settings = gallery.settings
    runtime = EncoderRuntime(
        encoder, card.preprocessing, threads=settings.threads, precision=settings.precision, choice=choice
    )
    # What the user's settings fixed for once is no measurement.
    if remember and settings.precision == "auto" and runtime.choice != choice:
        gallery.catalog.put(key, runtime.choice.to_dict())
    return runtime


def ensure_space(gallery: Gallery, model: str | None, say: "Say") -> EmbeddingSpace:
    """The space to index into; a new gallery gets one for ``model``. The caller holds the write lock.

    A copy of the encoder that is damaged is replaced when ``model`` gives the same one again. ``auto`` is the gallery's
    own in one that has an encoder.

    Raises:
        ModelMismatch: ``model`` is another encoder than the live space's.
        ModelUnavailable, ModelDamaged, ModelUnsafe, NoSuchPath: see ``models.resolve_model``.
    """
    from retrieval.models.folder import save_encoder
    from retrieval.models.resolve import resolve_model

    space = gallery.catalog.spaces.live()
    if space is not None and model == AUTO:
        if space.model != RECOMMENDED:
            say(
                f"--model auto chooses for a new gallery; this one has {space.model}, and goes on with it. "
                "`retrieval switch auto` changes over."
            )
        return space
    if space is not None and (model is None or (_is_name_of(gallery, model, space) and _copy_is_whole(gallery, space))):
        return space
    if space is None and model is None:
        say(stronger())
    encoder, card = resolve_model(DEFAULT_MODEL if model is None else model, announce=say)
    folder = gallery.layout.model(card.fingerprint)
    if space is None:
        save_encoder(encoder, card, folder)
        return _new_space(gallery, encoder, card)
    _refuse_other(gallery, space, model or "", card)
    try:
        verify_folder(folder)
    except (ModelDamaged, ModelUnsafe, NoSuchPath) as error:
        say(f"The gallery's own copy of the encoder is replaced by the one given: {error.message}")
        shutil.rmtree(folder, ignore_errors=True)
        save_encoder(encoder, card, folder)
    return space


def refuse_other_encoder(gallery: Gallery, model: str, say: "Say" = lambda _: None) -> None:
    """Compare the ``--model`` of a search with the live space.

    Raises:
        ModelMismatch: it is another encoder.
        EmptyGallery: nothing is indexed.
        ModelUnavailable, ModelDamaged, ModelUnsafe, NoSuchPath: see ``models.resolve_model``.
    """
    from retrieval.models.resolve import resolve_model

    space = gallery.live_space()
    if model != AUTO and not _is_name_of(gallery, model, space):
        _refuse_other(gallery, space, model, resolve_model(model, announce=say)[1])


def _is_name_of(gallery: Gallery, model: str, space: EmbeddingSpace) -> bool:
    """Whether ``model`` is just the name the space was made with: then nothing is loaded or downloaded again.

    An encoder made from a local file may have the name of an architecture too, and is another one than the hub's.
    """
    if model != space.model or Path(model).exists():
        return False
    try:
        if model == STARTER:
            return starter_card().fingerprint == space.fingerprint
        origin = GalleryEncoder.card_of(gallery, space).origin
    except RetrievalError:
        return False
    return origin.startswith("hub ") or (model == UNTRAINED and origin.startswith(UNTRAINED))


def _copy_is_whole(gallery: Gallery, space: EmbeddingSpace) -> bool:
    try:
        verify_folder(gallery.layout.model(space.fingerprint))
    except (ModelDamaged, ModelUnsafe, NoSuchPath):
        return False
    return True


def _new_space(gallery: Gallery, encoder: "Encoder", card: ModelCard) -> EmbeddingSpace:
    from retrieval.models.probes import probe_embeddings

    runtime = open_runtime(gallery, encoder, card, remember=True)
    gallery.catalog.put(f"libraries:{card.fingerprint[:16]}", {name: _version(name) for name in _LIBRARIES})
    return gallery.catalog.spaces.create(card.fingerprint, card.name, card.dimension, probe_embeddings(runtime))


def _refuse_other(gallery: Gallery, space: EmbeddingSpace, model: str, card: ModelCard) -> None:
    if card.fingerprint != space.fingerprint:
        raise ModelMismatch(
            f"The gallery {gallery.folder} was indexed with {space.model} ({space.fingerprint[:12]}); "
            f"{model} is another encoder ({card.fingerprint[:12]}), and their vectors cannot be compared.",
            "Leave --model out to go on with the gallery's own, change over with `retrieval switch MODEL`, or "
            "index into a new gallery with --gallery DIR.",
        )


def _copy_damaged(folder: Path, why: str) -> ModelDamaged:
    return ModelDamaged(
        f"The gallery's encoder in {folder} cannot be used: {why}",
        "Give the original again with `retrieval index --model FOLDER PATH`, or restore a backup.",
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
