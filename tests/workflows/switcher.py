"""Another process that switches galleries: ``python -m tests.workflows.switcher`` reads orders, one JSON list a line.

``["switch", gallery, model]`` and ``["rollback", gallery]`` are done one after the other; each is answered by a line:
``ok`` or what went wrong.
"""

import json
import sys
from pathlib import Path

from retrieval.core.errors import RetrievalError
from retrieval.models import runtime
from retrieval.models.choice import RuntimeChoice
from retrieval.workflows import filling
from retrieval.workflows.spaces import rollback
from retrieval.workflows.switching import switch


def main() -> None:
    """Obey until stdin ends."""
    # Many commits, as in a large gallery; and no time is spent on finding the fastest way to run the encoder.
    filling._BATCH_SECONDS = 0.2
    runtime.fastest = lambda slim, example, precision, machine: (RuntimeChoice("fp32", 8, "folded", machine), slim)
    print("ready", flush=True)
    for line in sys.stdin:
        what, gallery, *rest = json.loads(line)
        try:
            switch(Path(gallery), rest[0], workers=2) if what == "switch" else rollback(Path(gallery))
        except RetrievalError as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        else:
            print("ok", flush=True)


if __name__ == "__main__":
    main()
