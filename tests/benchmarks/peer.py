"""Runs in the peer's own environment: DeepImageSearch 3.0.3 indexes a folder with the weights it is given."""

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import timm

folder, weights = sys.argv[1:]
create = timm.create_model


def with_local_weights(name, pretrained=False, **more):
    """The hub is not asked: the same weights as everybody else's in this benchmark."""
    return create(name, pretrained=False, pad_type="same", num_classes=1000, checkpoint_path=weights, **more)


timm.create_model = with_local_weights

from DeepImageSearch import SearchEngine  # noqa: E402

with tempfile.TemporaryDirectory() as scratch:
    engine = SearchEngine(model_name="mobilenetv2_100", index_dir=scratch)
    files = [str(path) for path in sorted(Path(folder).iterdir())]
    start = perf_counter()
    engine.index(files)
    seconds = perf_counter() - start
print(json.dumps({"rate": len(files) / seconds, "dimension": engine.embedding.dimension}))
