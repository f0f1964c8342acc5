"""The map of a gallery: how long it takes, how true it is beside plain PCA, and what memory it needs."""

import json
import sys

from tests.benchmarks.search import filled
from tests.benchmarks.support import child, show

SIZES = (10_000, 100_000)

_CHILD = r"""
import json, re, sys
from pathlib import Path
from retrieval.workflows.mapping import draw_map

def peak():
    # Not what getrusage says: that begins with the memory of the process that started this one.
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
report = draw_map(Path(sys.argv[1]))
after = peak()
print(json.dumps({**report.to_dict(), "before": before / 1000, "after": after / 1000}))
"""


def run(quick: bool = False) -> None:
    """Print the table; ``quick`` leaves out the larger gallery."""
    rows = []
    for size in SIZES[:1] if quick else SIZES:
        found = child(["-c", _CHILD, str(filled(size))])
        print(json.dumps(found), file=sys.stderr)
        rows.append(
            [
                f"{size:,}",
                f"{found['seconds']:.1f} s",
                f"{found['trustworthiness']:.4f}",
                f"{found['flat']:.4f}",
                f"{found['after']:.0f} MB",
                f"{found['after'] - found['before']:.0f} MB",
            ]
        )
    header = ["vectors", "time", "trustworthiness", "of the first two components", "peak memory", "of which the map"]
    show("The map of a gallery (synthetic vectors of 384 dimensions; k = 10, among a sample of 5,000)", header, rows)
