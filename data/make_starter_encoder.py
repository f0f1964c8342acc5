"""Makes the encoder that comes with the package from a run of `retrieval distil --recipe starter`.

python data/make_starter_encoder.py RUN --pictures SET/pictures.csv [--begun STUDENT]
python data/make_starter_encoder.py --unpack STUDENT      the other way: the backbone of what comes with the package

What the run has learned is pooled over all its levels, a projection that evens out the variances of the embeddings is
put at the end, all is rounded to float16 and written to `retrieval/models/starter_encoder`, with a card that says so.
How a run is made: `retrieval/workflows/recipes/starter.py`.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from retrieval.core.labelled import Labelled
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import load_settings
from retrieval.functional.pca import pca_start
from retrieval.images.decode import decode
from retrieval.models.card import ModelCard
from retrieval.models.create import create_encoder, describe, over_levels, with_projection
from retrieval.models.encoder import Encoder, Projection
from retrieval.models.folder import CARD, WEIGHTS, halved, load_encoder, save_encoder
from retrieval.models.levels import Levels
from retrieval.models.starter import STARTER, STARTER_FOLDER
from retrieval.workflows.embedding_sets import embed_labelled, runtime_of
from retrieval.workflows.labelled_sets import open_pictures

LICENCE = "mit"
MOST_BYTES = 8_000_000

WHITENING, DIMENSION, FITTED_ON = 0.75, 512, 4000
"""Power of the whitening, dimensions that are left, and how many of the pictures both are fitted on.

On the classes that choose, and an encoder that had learned for 75 seconds: recall@1 on caltech101, flowers90 and signs
.56, .71 and .52 for the last level alone, .61, .77 and .60 with it whitened by 0.75; over all levels .67, .77 and .60
whitened by 0.5, .67, .78 and .62 by 0.75, .66, .79 and .62 by 0.9. 384 dimensions give half a point less, 768 half a
point more. Levels standardised feature by feature gave as much there, and with two encoders that had learned to the end
six to ten points less on flowers90's measured half: that was looked at."""

BATCH = 100

SHARE = 0.75
"""Of a run that went on from a trained encoder, what its weights count beside those it began with (Wortsman et al.,
"Robust fine-tuning of zero-shot models", CVPR 2022, https://arxiv.org/abs/2109.01903: the mean keeps more of what was
known before). recall@1 on things and signs that were never drawn for learning: .04 and .78 before the run, .06 and .77
for 0.5, .09 and .77 for 0.75, .11 and .76 for 1."""


def averaged(encoder: Encoder, card: ModelCard, begun: Encoder) -> tuple[Encoder, ModelCard]:
    """The encoder with each weight the mean of its own, by SHARE, and that of the encoder it began as."""
    own, before = encoder.backbone.state_dict(), begun.backbone.state_dict()
    encoder.backbone.load_state_dict(
        {n: before[n] * (1 - SHARE) + t * SHARE if t.is_floating_point() else t for n, t in own.items()}
    )
    origin = f"{card.origin}; weights averaged with those it began with, {SHARE}"
    return encoder, describe(encoder, card, origin=origin)


def of_all_levels(encoder: Encoder, card: ModelCard, pictures: Labelled) -> tuple[Encoder, ModelCard]:
    """The encoder pooled over all its levels, standardised on some pictures."""
    made, described = over_levels(encoder, card, origin=f"{card.origin}; pooled over all levels")
    backbone = made.backbone
    assert isinstance(backbone, Levels)
    backbone.standardise(_batches(pictures, card.preprocessing))
    return made, describe(made, described)


def whitened(encoder: Encoder, card: ModelCard, pictures: Labelled) -> tuple[Encoder, ModelCard]:
    """The encoder with a projection onto the principal components of its embeddings of some pictures at its end."""
    settings = load_settings()
    embedded = embed_labelled(pictures, runtime_of(encoder, card, settings), card.preprocessing, settings)
    dimension = min(DIMENSION, encoder.dimension, len(embedded.vectors))
    start = pca_start(torch.from_numpy(embedded.vectors), dimension, whitening=WHITENING)
    projection = Projection(encoder.dimension, dimension).requires_grad_(False)
    projection.weight.copy_(start.weight)
    projection.bias.copy_(start.bias)
    return with_projection(encoder, card, projection, origin=f"{card.origin}; whitened, power {WHITENING}")


def _batches(pictures: Labelled, spec: Preprocessing) -> Iterator[torch.Tensor]:
    mean, std = (torch.tensor(values).mul(255.0).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    for start in range(0, len(pictures), BATCH):
        some = pictures.images[start : start + BATCH]
        pixels = np.stack([decode(Path(os.fsdecode(image.path)).read_bytes(), spec)[1] for image in some])
        yield torch.from_numpy(pixels).permute(0, 3, 1, 2).float().sub_(mean).div_(std)


def publish(
    encoder_folder: Path, pictures: Labelled, target: Path = STARTER_FOLDER, begun: Path | None = None
) -> ModelCard:
    """Pool an encoder over all its levels, whiten it, round it to float16 and write it, as the starter.

    Args:
        encoder_folder: of the run.
        pictures: that it has learned from.
        target: what is there of an earlier one is replaced.
        begun: encoder folder that the run went on from; None: the run began untrained.
    """
    encoder, card = load_encoder(encoder_folder)
    if begun is not None:
        encoder, card = averaged(encoder, card, load_encoder(begun)[0])
    chosen = np.sort(np.random.default_rng(0).permutation(len(pictures))[:FITTED_ON])
    some = pictures.subset(chosen)
    encoder, card = whitened(*of_all_levels(encoder, card, some), some)
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


def unpack(target: Path, source: Path = STARTER_FOLDER) -> ModelCard:
    """Write the starter as it was before `publish`: the run's backbone with its own pooling, but for the rounding.

    Args:
        target: an encoder folder that `retrieval distil --student` goes on from.
        source: the starter.
    """
    encoder, card = load_encoder(source)
    spec, backbone = card.preprocessing, encoder.backbone
    assert isinstance(backbone, Levels)
    plain, described = create_encoder(
        backbone=card.backbone,
        backbone_args=card.backbone_args,
        input_size=spec.input_size,
        mean=spec.mean,
        std=spec.std,
        interpolation=spec.interpolation,
        name=f"{card.name}-backbone",
    )
    plain.backbone.load_state_dict(backbone.body.state_dict())
    origin = f"backbone of {card.name} {card.fingerprint[:12]}, {card.origin}"
    return save_encoder(plain, describe(plain, described, origin=origin, trained=True, licence=card.licence), target)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Make the encoder that comes with the package from a run.")
    parser.add_argument("run", type=Path, nargs="?", help="the run's folder")
    parser.add_argument("--pictures", help="pictures.csv of data/make_starter_set.py")
    parser.add_argument("--begun", type=Path, metavar="STUDENT", help="trained encoder that the run went on from")
    parser.add_argument("--unpack", type=Path, metavar="STUDENT", help="write the packaged backbone into a folder")
    given = parser.parse_args()
    if given.unpack is not None:
        print(f"{given.unpack}: {unpack(given.unpack).fingerprint}")
        return
    if given.run is None or given.pictures is None:
        parser.error("a run and --pictures are needed")
    card = publish(given.run / "encoder", open_pictures(given.pictures), begun=given.begun)
    print(f"{STARTER_FOLDER}: {card.parameters:,} weights, fingerprint {card.fingerprint}")


if __name__ == "__main__":
    main()
