"""Indexing, end to end, beside the bound of the cores, the plain way, and DeepImageSearch 3.0.3.

- the bound: cores / (seconds to decode an image + seconds to encode one), each measured on one core alone;
- the same with the cores busy at once: as many such processes as there are cores, side by side, which share caches and
  memory, as every program must that uses them all;
- ours: ``retrieval index`` into a new gallery, in a process of its own: the rate while it reads and embeds (the
  report's ``images_per_second``), and that of the whole command with start, scan, model and index;
- plain: ImageFolder, a DataLoader with one worker a core, timm in eager fp32, FAISS flat;
- DeepImageSearch 3.0.3, in its own environment, given the same weights: its ``index`` call alone.

All run in turn, several rounds, since the machine is faster at one time than at another; the others, who are slower by
far, run in the first ``OTHERS_ROUNDS``. The bound is measured before and after ours in every round, and ours divided
by the mean of the two: a share of the bound is the median of the rounds' own shares, with the lowest and the highest.
Rates are medians.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter

from retrieval.core.settings import Limits, available_cores
from tests.benchmarks.support import (
    CACHE,
    WEIGHTS,
    big_photos,
    child,
    flat_copy,
    fresh,
    mobilenet,
    retrieval,
    show,
    spread,
    unpacked,
)

OTHERS_ROUNDS = 2
COSTED = 150
"""Photos from which the bound is measured, spread evenly over those that the others get."""
PEER = "DeepImageSearch==3.0.3"
NAMES = {
    "bound": f"bound: {available_cores()} cores / (decode + encode)",
    "busy": "the same, measured on all cores at once",
    "reading": "**retrieval**, while reading",
    "whole": "**retrieval**, whole command",
    "plain": "plain: ImageFolder, DataLoader, eager fp32, FAISS flat",
    "peer": PEER.replace("==", " "),
}


def run(quick: bool = False) -> None:
    """Print the table for small photos."""
    count, few = (200, 200) if quick else (5000, 1500)
    photos = flat_copy(f"small{count}", spread(unpacked("grocery"), count))
    some = photos if few == count else flat_copy(f"small{count}-{few}", spread(photos, few))
    compare(f"{count} grocery photos, short side 180, for the others {few} of them", photos, some, 1 if quick else 5)


def run_large(quick: bool = False) -> None:
    """Print the table for 12-megapixel ones."""
    count, few = (40, 40) if quick else (600, 150)
    large = big_photos(count)
    some = large if few == count else flat_copy(f"big{count}-{few}", spread(large, few))
    compare(f"{count} JPEGs of 12 megapixels, for the others {few} of them", large, some, 1 if quick else 2)


def compare(title: str, folder: Path, few: Path, rounds: int) -> None:
    """Measure one set of photos; the bound and the others with ``few`` of them, since their start is not counted."""
    model = mobilenet()
    count = len(list(folder.iterdir()))
    # Once unmeasured: file cache, and the encoder's own measurement of this machine, which a gallery remembers.
    seed = fresh("bench-gallery-seed")
    retrieval("index", str(next(folder.iterdir())), "--model", str(model), "--gallery", str(seed))
    rates: dict[str, list[float]] = {name: [] for name in NAMES}
    shares: dict[str, list[float]] = {name: [] for name in ("busy", "reading", "whole")}
    for number in range(rounds):
        before = _bound(few)
        gallery = fresh("bench-gallery")
        subprocess.run(["cp", "-r", str(seed), str(gallery)], check=True)
        start = perf_counter()
        report = retrieval("index", str(folder), "--gallery", str(gallery))
        whole = count / (perf_counter() - start)
        bound = (before + _bound(few)) / 2
        found = {"bound": bound, "busy": _busy_bound(few), "reading": report["images_per_second"], "whole": whole}
        for name, rate in found.items():
            rates[name].append(rate)
        for name, kept in shares.items():
            kept.append(found[name] / bound)
        if number < OTHERS_ROUNDS:
            rates["plain"].append(child(["-m", "tests.benchmarks.indexing", "plain", str(few)])["rate"])
            asked = [str(Path(__file__).with_name("peer.py")), str(few), str(WEIGHTS)]
            rates["peer"].append(child(asked, peer_python())["rate"])
    middle = {name: median(values) for name, values in rates.items()}
    show(
        f"Indexing {title} (MobileNetV2, 224 pixels; images/s)",
        ["", "images/s", "of the bound", "times the peer"],
        [
            [
                label,
                f"{middle[name]:.1f}",
                _share(shares.get(name), middle, name),
                f"{middle[name] / middle['peer']:.2f}",
            ]
            for name, label in NAMES.items()
        ],
    )


def _share(rounds: list[float] | None, middle: dict[str, float], name: str) -> str:
    """Share of the bound: the rounds' median with the range, or of the medians where rounds do not match."""
    if rounds is None:
        return f"{middle[name] / middle['bound']:.2f}"
    return f"{median(rounds):.2f} ({min(rounds):.2f} to {max(rounds):.2f})"


def _bound(folder: Path) -> float:
    """Images a second if all cores did nothing but decode and encode, each as fast as one does alone."""
    cost = child(["-m", "tests.benchmarks.indexing", "costs", str(folder)])
    return float(available_cores() / (cost["decode"] + cost["encode"]))


def peer_python() -> str:
    """The interpreter of the peer's own environment, made on first use."""
    folder = CACHE / "dis"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"Installing {PEER} into {folder} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        constraints = Path(__file__).resolve().parents[2] / "constraints.txt"
        subprocess.run([python, "-m", "pip", "install", "-q", PEER, "-c", constraints], check=True)
        (folder / "ready").touch()
    return str(python)


def _busy_bound(folder: Path) -> float:
    """Images a second of one such process a core, all at the same time."""
    start = time.time() + 30
    with ThreadPoolExecutor(available_cores()) as threads:
        arguments = ["-m", "tests.benchmarks.indexing", "costs", str(folder), str(start)]
        found = list(threads.map(lambda _: child(arguments), range(available_cores())))
    return sum(1 / (cost["decode"] + cost["encode"]) for cost in found)


def costs(folder: Path, start_at: float = 0.0) -> dict[str, float]:
    """Seconds on one core to decode an image of the folder, and to encode one; begins no sooner than ``start_at``."""
    import numpy as np

    from retrieval.images.decode import decode
    from retrieval.models.folder import load_encoder
    from retrieval.models.runtime import EncoderRuntime

    encoder, card = load_encoder(mobilenet())
    files = spread(folder, COSTED)
    decode(files[0].read_bytes(), card.preprocessing, Limits())
    runtime = EncoderRuntime(encoder, card.preprocessing, threads=1)
    time.sleep(max(0.0, start_at - time.time()))
    start = perf_counter()
    pixels = [decode(file.read_bytes(), card.preprocessing, Limits())[1] for file in files]
    decoding = (perf_counter() - start) / len(files)
    batch = np.resize(np.stack(pixels), (runtime.batch * max(1, 96 // runtime.batch), *pixels[0].shape))
    runtime.embed(batch)
    seconds = []
    for _ in range(5):
        start = perf_counter()
        runtime.embed(batch)
        seconds.append((perf_counter() - start) / len(batch))
    return {"decode": decoding, "encode": median(seconds)}


def plain(folder: Path) -> dict[str, float]:
    """The way a tutorial does it."""
    import faiss
    import timm
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    prepare = transforms.Compose(
        [
            transforms.Resize(224, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )

    class Folder(Dataset[torch.Tensor]):
        """ImageFolder without the classes: the same loader and transform."""

        def __init__(self) -> None:
            self.files = sorted(folder.iterdir())

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, n: int) -> torch.Tensor:
            with open(self.files[n], "rb") as file:
                return prepare(Image.open(file).convert("RGB"))

    model = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=1000, checkpoint_path=str(WEIGHTS))
    model.reset_classifier(0)
    model.eval()
    index = faiss.IndexFlatIP(1280)
    start = perf_counter()
    with torch.inference_mode():
        for images in DataLoader(Folder(), batch_size=32, num_workers=available_cores()):
            features = torch.nn.functional.normalize(model(images), dim=1)
            index.add(features.numpy())
    return {"rate": index.ntotal / (perf_counter() - start)}


if __name__ == "__main__":
    import json

    print(json.dumps({"costs": costs, "plain": plain}[sys.argv[1]](Path(sys.argv[2]), *map(float, sys.argv[3:]))))
