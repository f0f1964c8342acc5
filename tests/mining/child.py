"""What miners take from the system: ``python -m tests.mining.child FILE``.

Torch is imported once and each miner runs in a fork, so that nothing of one is counted for the next. FILE gets the
bytes by which each grew at its peak, beside its estimate. Everything that a miner may choose, it is made to choose.
"""

import json
import os
import resource
import sys
from pathlib import Path

import psutil
import torch

from retrieval.mining import MINERS, memory_estimate

DIMENSION = 64

ALL_CHOSEN = {
    "easy": {"margin": -10.0},
    "semihard": {"margin": 10.0},
    "mixed": {"margin": 10.0},
    "multi_similarity": {"epsilon": 10.0},
}

FEW = ("batch_hard", "batch_semihard", "distance_weighted")
"""Those that give no more than one result a pair: with them, the work is what counts."""


def main() -> None:
    torch.set_num_threads(1)
    found = {}
    for name in MINERS:
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(write, json.dumps(measured(name)).encode())
            os._exit(0)
        os.close(write)
        os.waitpid(pid, 0)
        with os.fdopen(read) as answer:
            found[name] = json.loads(answer.read())
    Path(sys.argv[1]).write_text(json.dumps(found))


def measured(name: str) -> tuple[int, int, int]:
    """Bytes grown, bytes estimated, results given."""
    count, per_class = (8192, 4) if name in FEW else (4096, 2)
    mine(name, 64, per_class)
    before = psutil.Process().memory_info().rss
    given = mine(name, count, per_class)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak - before, memory_estimate(name, count, per_class, DIMENSION), given


def mine(name: str, count: int, per_class: int) -> int:
    labels = torch.arange(count) // per_class
    random = torch.Generator().manual_seed(0)
    centres = torch.nn.functional.normalize(torch.randn(count // per_class, DIMENSION, generator=random), dim=1)
    # Rows of a class are one point, and so are all rows where what is wanted is ties.
    embeddings = centres[labels * (name != "hard")]
    mined = MINERS[name].function(embeddings, labels, generator=random, **ALL_CHOSEN.get(name, {}))
    return sum(len(part) for part in mined)


if __name__ == "__main__":
    main()
