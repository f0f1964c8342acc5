"""Makes the encoder that comes with the package from a run of `retrieval distil --recipe starter`.

python data/make_starter_encoder.py RUN

The weights are rounded to float16 and written to `retrieval/models/starter_encoder`, with a card that says so. The
whole way there is in `retrieval/workflows/recipes/starter.py`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from retrieval.models.card import ModelCard
from retrieval.models.create import describe
from retrieval.models.folder import CARD, WEIGHTS, halved, load_encoder, save_encoder
from retrieval.models.starter import STARTER, STARTER_FOLDER

LICENCE = "mit"
MOST_BYTES = 8_000_000


def publish(encoder_folder: Path, target: Path = STARTER_FOLDER) -> ModelCard:
    """Round an encoder to float16 and write it, as the starter, into ``target``."""
    encoder, card = load_encoder(encoder_folder)
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
    card = publish(parser.parse_args().run / "encoder")
    print(f"{STARTER_FOLDER}: {card.parameters:,} weights, fingerprint {card.fingerprint}")


if __name__ == "__main__":
    main()
