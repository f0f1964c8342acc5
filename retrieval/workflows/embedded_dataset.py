"""The labelled images that a command names, embedded with the encoder that it names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled
from retrieval.core.settings import Settings
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.workflows.embedding_sets import EmbeddedSet, embed_labelled, runtime_of
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.labelled_sets import GALLERY, embedded_gallery, open_dataset


@dataclass(frozen=True)
class Embedding:
    """Embeds datasets, or takes the embeddings from the gallery that holds them.

    Attributes:
        settings: limits of the decoders, threads of the encoder.
        hooks: told how far it is.
        gallery: the gallery's folder, for the dataset ``gallery``.
        workers: decoding processes; as many as there are cores by default.
    """

    settings: Settings
    hooks: Hooks
    gallery: Path | None = None
    workers: int | None = None

    def dataset(
        self,
        name: str,
        encoder: Encoder,
        card: ModelCard,
        *,
        on_disk: bool = False,
        opened: Callable[[Labelled], None] = lambda _: None,
    ) -> EmbeddedSet:
        """A labelled dataset with its embeddings.

        Args:
            name: a folder of class folders, a CSV, or ``gallery``.
            encoder, card: embed what no gallery holds.
            on_disk: leave out images of the gallery that cannot be read now, although their vectors are there.
            opened: told which images these are, before the first is embedded.

        Raises:
            NoSuchPath, BadValue, EmptyGallery: see ``labelled_sets.open_dataset``.
            Interrupted: ``hooks.stop`` said so.
        """
        if name != GALLERY:
            labelled = open_dataset(name, note=self.hooks.say)
            opened(labelled)
            return self.labelled(labelled, encoder, card)
        with self.opened() as gallery:
            kept = embedded_gallery(gallery, card, on_disk=on_disk, note=self.hooks.say)
            if kept is None:
                labelled = open_dataset(GALLERY, gallery, note=self.hooks.say)
        opened(labelled if kept is None else kept.labelled)
        if kept is not None:
            return kept
        return self.labelled(labelled, encoder, card)

    def labelled(self, labelled: Labelled, encoder: Encoder, card: ModelCard) -> EmbeddedSet:
        """Embed these images; those that cannot be read are left out, and said."""
        made = embed_labelled(
            labelled,
            runtime_of(encoder, card, self.settings),
            card.preprocessing,
            self.settings,
            workers=self.workers,
            what=f"Embedding with {card.name}",
            progress=self.hooks.working,
            stop=self.hooks.stop,
        )
        if made.failures:
            self.hooks.say(made.left_out())
        return made

    def opened(self) -> Gallery:
        """The gallery. Raises BadValue where none was named, and what ``Gallery`` raises."""
        if self.gallery is None:
            raise BadValue("The dataset `gallery` needs a gallery.", "Give it with --gallery DIR.")
        return Gallery(self.gallery, self.settings)
