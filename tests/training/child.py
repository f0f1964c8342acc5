"""Training runs in processes of their own: ``python -m tests.training.child FOLDER``.

Everything is imported once and each run is a fork, with its own folder in FOLDER. ``kill``: killed (SIGKILL) within the
third checkpoint, while its file is half written. ``rename``: killed between its writing and its renaming. ``full``:
files may not grow beyond what one checkpoint needs. ``pair``: two processes; see ``pair``. How each ended is in
FOLDER/ended.json, what it said in FOLDER/NAME.txt.
"""

import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from retrieval.core.errors import RetrievalError
from retrieval.methods.metric_learning import MetricLearning
from retrieval.training import checkpoint
from retrieval.training.loop import fit
from tests.training.pairs import RUNS, run_config
from tests.training.tiny import CLASSES, Pull, TinySource, config, tiny_encoder


def main() -> None:
    torch.set_num_threads(1)
    base = Path(sys.argv[1])
    ended = {}
    for name, task in (("kill", kill_while_writing), ("rename", kill_before_renaming), ("full", fill_the_disk)):
        ended[name] = _ended(_fork(base, name, task, {}))
    port = str(_free_port())
    ranks = []
    for rank in ("0", "1"):
        # What torchrun says to its processes.
        environment = {
            "RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test",
        }  # fmt: skip
        ranks.append(_fork(base, f"pair{rank}", pair, environment))
    ended["pair"] = max(_ended(pid) for pid in ranks)
    (base / "ended.json").write_text(json.dumps(ended))


def _fork(base: Path, name: str, task: Callable[[Path], None], environment: dict[str, str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        log = os.open(base / f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(environment)
        task(base / name)
        code = 0
    except RetrievalError as error:
        os.write(2, str(error).encode())
        code = error.exit_code
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _ended(pid: int) -> int:
    """The exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_while_writing(folder: Path) -> None:
    saves = 0
    plain = torch.save

    def save(state: dict[str, Any], file: Any) -> None:
        nonlocal saves
        saves += 1
        if saves < 3:
            return plain(state, file)
        file.write(b"PK" * 500)
        file.flush()
        return _die()

    torch.save = save
    _train(folder)


def kill_before_renaming(folder: Path) -> None:
    saves = 0
    plain = os.replace

    def replace(source: Any, target: Any) -> None:
        nonlocal saves
        saves += Path(target).name == checkpoint.NAME
        if saves == 3:
            _die()
        plain(source, target)

    os.replace = replace  # type: ignore[assignment]
    _train(folder)


def fill_the_disk(folder: Path) -> None:
    """The limit comes after the second checkpoint and is met by the third."""
    saves = 0
    plain = torch.save

    def save(state: dict[str, Any], file: Any) -> None:
        nonlocal saves
        saves += 1
        if saves == 3:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        plain(state, file)

    torch.save = save
    _train(folder)


def _train(folder: Path) -> None:
    fit(crash_method(), TinySource(), config(save_seconds=0.0), folder=folder)


def crash_method() -> Pull:
    """The network that is trained in ``kill``, ``rename`` and ``full``."""
    return Pull(tiny_encoder(batch_norm=True, dropout=0.2))


def pair(folder: Path) -> None:
    """Every run of ``RUNS`` as one of two processes, each with its half of every batch."""
    rank = int(os.environ["RANK"])
    results = {}
    for name, run in RUNS.items():
        half = run.source(per_epoch=2, part=slice(6 * rank, 6 * (rank + 1)))
        method = MetricLearning(run.encoder(), run.terms, CLASSES, examples=24, centre_rate=0.5, measure_every=1)
        fit(method, half, run_config(run, devices=2), folder=folder / name)
        results[name] = method.state_dict()
    torch.save(results, folder / "results.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
