"""``make bench`` or ``python -m tests.benchmarks [NAME ...] [--quick]``: print the tables.

Needs ``../shared`` (real images and weights). What is made from it is kept in ``~/.cache/retrieval-bench``. Run it on
a quiet machine.
"""

import sys

from tests.benchmarks import (
    adaptation,
    calibration,
    collapse,
    fine_tuning,
    first_view,
    indexing,
    losses_quality,
    losses_speed,
    map,
    memory,
    page_load,
    precision,
    search,
    simclr_v2,
    ssl_peers,
    ssl_table,
    ssl_throughput,
    starter,
    starter_candidates,
    throughput,
    views,
)
from tests.benchmarks.support import machine

BENCHMARKS = {
    "indexing": indexing.run,
    "indexing_large": indexing.run_large,
    "search": search.run,
    "page_load": page_load.run,
    "first_view": first_view.run,
    "memory": memory.run,
    "map": map.run,
    "known": memory.run_known,
    "precision": precision.run,
    "starter": starter.run,
    "starter_candidates": starter_candidates.run,
    "throughput": throughput.run,
    "views": views.run,
    "losses_speed": losses_speed.run,
    "losses_quality": losses_quality.run,
    "fine_tuning": fine_tuning.run,
    "collapse": collapse.run,
    "ssl_table": ssl_table.run,
    "ssl_peers": ssl_peers.run,
    "ssl_peers_speed": ssl_peers.run_speed,
    "ssl_throughput": ssl_throughput.run,
    "simclr_v2": simclr_v2.run,
    "adaptation": adaptation.run,
    "calibration": calibration.run,
}


def main() -> None:
    """Run the named benchmarks, or all."""
    quick = "--quick" in sys.argv
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or list(BENCHMARKS)
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"Unknown benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}.")
    print(machine())
    for name in names:
        BENCHMARKS[name](quick)


if __name__ == "__main__":
    main()
