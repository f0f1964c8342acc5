"""Makes the encoder that comes with the package from a run of `retrieval distil --recipe starter`.

python data/make_starter_encoder.py RUN [--input-size PIXELS]

The weights are rounded to float16 and written to `retrieval/models/starter_encoder`, with a card that says so. The
whole way there is in `retrieval/workflows/recipes/starter.py`.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from retrieval.models.card import ModelCard
from retrieval.models.create import describe
from retrieval.models.folder import CARD, WEIGHTS, halved, load_encoder, save_encoder
from retrieval.models.starter import STARTER, STARTER_FOLDER

LICENCE = "mit"
MOST_BYTES = 8_000_000


def publish(encoder_folder: Path, target: Path = STARTER_FOLDER, input_size: int | None = None) -> ModelCard:
    """Round an encoder to float16 and write it, as the starter, into ``target``.

    Args:
        encoder_folder: of the run.
        target: what is there of an earlier one is replaced.
        input_size: pixels of the pictures that it shall take, where that is not what the run says: training on views of
            another size does not depend on it.
    """
    encoder, card = load_encoder(encoder_folder)
    if input_size is not None:
        card = replace(card, preprocessing=replace(card.preprocessing, input_size=input_size))
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
    parser.add_argument("--input-size", type=int, help="pixels, where not those of the run")
    given = parser.parse_args()
    card = publish(given.run / "encoder", input_size=given.input_size)
    print(f"{STARTER_FOLDER}: {card.parameters:,} weights, fingerprint {card.fingerprint}")


if __name__ == "__main__":
    main()
