"""Makes the encoder that comes with the package from a run of `retrieval distil --recipe starter`.

python data/make_starter_encoder.py RUN --pictures SET/pictures.csv

A projection that evens out the variances of the embeddings is put at the end, all is rounded to float16 and written to
`retrieval/models/starter_encoder`, with a card that says so. How a run is made:
`retrieval/workflows/recipes/starter.py`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch

from retrieval.core.labelled import Labelled
from retrieval.core.settings import load_settings
from retrieval.functional.pca import pca_start
from retrieval.models.card import ModelCard
from retrieval.models.create import describe, with_projection
from retrieval.models.encoder import Encoder, Projection
from retrieval.models.folder import CARD, WEIGHTS, halved, load_encoder, save_encoder
from retrieval.models.starter import STARTER, STARTER_FOLDER
from retrieval.workflows.embedding_sets import embed_labelled, runtime_of
from retrieval.workflows.labelled_sets import open_pictures

LICENCE = "mit"
MOST_BYTES = 8_000_000

WHITENING, FITTED_ON = 0.75, 4000
"""Power of the whitening, and how many of the pictures it is fitted on. On the classes that choose, and an encoder that
had learned for 75 seconds: recall@1 on caltech101, flowers90 and signs .56, .71 and .52 without, .59, .76 and .59 with
0.5, .61, .77 and .60 with 0.75."""


def whitened(encoder: Encoder, card: ModelCard, pictures: Labelled) -> tuple[Encoder, ModelCard]:
    """The encoder with a projection onto the principal components of its embeddings of some pictures at its end."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(pictures))[:FITTED_ON])
    settings = load_settings()
    embedded = embed_labelled(
        pictures.subset(chosen), runtime_of(encoder, card, settings), card.preprocessing, settings
    )
    start = pca_start(torch.from_numpy(embedded.vectors), encoder.dimension, whitening=WHITENING)
    projection = Projection(encoder.dimension, encoder.dimension).requires_grad_(False)
    projection.weight.copy_(start.weight)
    projection.bias.copy_(start.bias)
    return with_projection(encoder, card, projection, origin=f"{card.origin}; whitened, power {WHITENING}")


def publish(encoder_folder: Path, pictures: Labelled, target: Path = STARTER_FOLDER) -> ModelCard:
    """Whiten an encoder, round it to float16 and write it, as the starter, into ``target``.

    Args:
        encoder_folder: of the run.
        pictures: that it has learned from.
        target: what is there of an earlier one is replaced.
    """
    encoder, card = whitened(*load_encoder(encoder_folder), pictures)
    small = halved(encoder)
    origin = f"{card.origin}; rounded to float16"
    described = describe(small, card, name=STARTER, origin=origin, licence=LICENCE)
    made = target.with_name(f"{target.name}.making")
    shutil.rmtree(made, ignore_errors=True)
    saved = save_encoder(small, described, made, half=True)
    size = (made / WEIGHTS).stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{size:,} bytes are more than {MOST_BYTES:,}: take a smaller architecture.")
    target.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, CARD):
        (made / name).replace(target / name)
    made.rmdir()
    return saved


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Make the encoder that comes with the package from a run.")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--pictures", required=True, help="pictures.csv of data/make_starter_set.py")
    given = parser.parse_args()
    card = publish(given.run / "encoder", open_pictures(given.pictures))
    print(f"{STARTER_FOLDER}: {card.parameters:,} weights, fingerprint {card.fingerprint}")


if __name__ == "__main__":
    main()
