"""What the benchmarks share: data in a cache, encoders, tables, child processes."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retrieval.core.settings import available_cores

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
CACHE = Path(os.environ.get("RETRIEVAL_BENCH_CACHE", Path.home() / ".cache" / "retrieval-bench"))
WEIGHTS = SHARED / "weights" / "mobilenetv2_100.safetensors"


def machine() -> str:
    """One line about where this ran."""
    import faiss
    import torch

    return (
        f"{platform.system()} {platform.machine()}, {available_cores()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}, faiss {faiss.__version__}"
    )


def unpacked(name: str) -> Path:
    """A shared image set, unpacked in the cache."""
    folder = CACHE / name
    if not folder.exists():
        archive = next(SHARED.glob(f"data/{name}.tar*"), None)
        if archive is None:
            sys.exit(f"This benchmark needs {SHARED}/data/{name}.tar.")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            tar.extractall(CACHE, filter="data")
    return folder


def flat_copy(name: str, sources: Sequence[Path]) -> Path:
    """A folder of links to ``sources``."""
    folder = CACHE / name
    if not folder.exists():
        folder.mkdir(parents=True)
        for n, source in enumerate(sources):
            os.link(source, folder / f"{n:06d}{source.suffix}")
    return folder


def big_photos(count: int) -> Path:
    """12-megapixel JPEGs (4000 x 3000, quality 90, some grain) made from grocery photos."""
    folder = CACHE / f"big{count}"
    if not folder.exists():
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        generator = np.random.default_rng(0)
        for n, source in enumerate(spread(unpacked("grocery") / "test", count)):
            photo = Image.open(source).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
            pixels = np.asarray(photo, np.int16) + generator.integers(-12, 13, (3000, 4000, 1), np.int16)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(making / f"{n:04d}.jpg", quality=90)
        making.rename(folder)
    return folder


def spread(folder: Path, count: int) -> list[Path]:
    """``count`` of the images below a folder (all of them if there are fewer), evenly spread over its sorted list."""
    files = sorted(folder.rglob("*.jpg"))
    count = min(count, len(files))
    return [files[i * len(files) // count] for i in range(count)]


def mobilenet(dimension: int | None = None) -> Path:
    """The encoder folder of the shared MobileNetV2; with a random linear head for a given dimension."""
    folder = CACHE / f"mobilenetv2-{dimension or 1280}"
    if not (folder / "card.json").exists():
        from retrieval.workflows.models import create_model

        create_model(
            folder,
            backbone="mobilenetv2_100",
            backbone_args=["pad_type=same"],
            weights=WEIGHTS,
            mean="0.5",
            std="0.5",
            input_size=224,
            interpolation="bicubic",
            head="none" if dimension is None else "linear",
            dim=dimension,
        )
    return folder


def tiny() -> Path:
    """An untrained encoder that costs next to nothing, for measuring what surrounds the encoder."""
    folder = CACHE / "tiny"
    if not (folder / "card.json").exists():
        from retrieval.workflows.models import create_model

        create_model(folder, backbone="resnet10t", untrained=True, input_size=32)
    return folder


def fresh(name: str) -> Path:
    """A path in the cache where nothing is."""
    path = CACHE / name
    shutil.rmtree(path, ignore_errors=True)
    return path


def child(arguments: Sequence[str], python: str = sys.executable, **environment: str) -> Any:
    """Run Python in a process of its own; the last line it prints is JSON."""
    done = subprocess.run(
        [python, *arguments], cwd=REPOSITORY, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1]) if done.stdout.strip() else None


def retrieval(*arguments: str) -> Any:
    """Run the command with ``--json``."""
    done = subprocess.run(
        [sys.executable, "-m", "retrieval", *arguments, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"retrieval {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    print(f"\n{title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
