"""The process that gets killed.

``python -m tests.crash.child`` imports torch and the rest once, then reads orders, one JSON object a line, and forks
for each: a process to be killed costs milliseconds instead of seconds. It says on stdout what happens, as JSON lines:
``{"event": "begun", "pid": …}`` and ``{"event": "ended", "signal": …, "code": …}``.

An order names a task of ``TASKS`` and its arguments, and may carry a sabotage (see ``sabotage``) that ends the
process with SIGKILL at a chosen call of a chosen function, and a limit to the size of files. The last words of the
process go to the file ``log``.
"""

import contextlib
import functools
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH_FILES = 16
"""Files in a commit: so few, that a run on three hundred pictures commits twenty times."""


def main() -> None:
    """Fork for every order until stdin ends."""
    _import_everything()
    _say({"event": "ready"})
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _obey(json.loads(line))
        _say({"event": "begun", "pid": pid})
        _, status = os.waitpid(pid, 0)
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        _say({"event": "ended", "signal": killed, "code": os.WEXITSTATUS(status) if killed is None else None})


def _import_everything() -> None:
    for name in ("embedding", "index", "models.resolve", "models.runtime", "workflows.backup", "workflows.switching"):
        importlib.import_module(f"retrieval.{name}")
    for name in ("timm", "safetensors.torch", "alembic.command"):
        importlib.import_module(name)


def _say(event: dict[str, Any]) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


def _obey(order: dict[str, Any]) -> None:
    """Do the task in a session of its own and end; never returns."""
    code = 99
    try:
        os.setsid()
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        _settle()
        if order.get("user"):
            os.setgid(order["user"])
            os.setuid(order["user"])
        if order.get("largest_file"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"], order["largest_file"]))
        for point in order.get("sabotage", ()):
            sabotage(**point)
        code = _perform(order)
    finally:
        os._exit(code)


def _perform(order: dict[str, Any]) -> int:
    from retrieval.core.errors import RetrievalError

    try:
        with contextlib.redirect_stdout(sys.stderr):
            TASKS[order["task"]](**order["arguments"])
    except RetrievalError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return 99
    return 0


def _settle() -> None:
    """Many commits, and one way to run the encoder, so that all galleries hold the same vectors."""
    from retrieval.models import runtime
    from retrieval.models.choice import RuntimeChoice
    from retrieval.workflows import index_run

    index_run._BATCH_FILES = BATCH_FILES
    runtime.fastest = lambda slim, example, precision, machine: (RuntimeChoice("fp32", 8, "folded", machine), slim)


# ---------------------------------------------------------------------------------------------------------- tasks


def _index(gallery: str, photos: str, model: str | None = None) -> None:
    from retrieval.workflows.indexing import index_paths

    index_paths(Path(gallery), [Path(photos)], model=model)


def _migrate(catalog: str, scripts: str, head: str) -> None:
    from retrieval.catalog import database

    engine = database.connect(Path(catalog))
    database.migrate(engine, Path(catalog), scripts=Path(scripts), head=head)
    engine.dispose()


def _backup(gallery: str, file: str) -> None:
    from retrieval.workflows.backup import backup

    backup(Path(gallery), Path(file))


def _restore(file: str, gallery: str) -> None:
    from retrieval.workflows.backup import restore

    restore(Path(file), Path(gallery))


def _repair(gallery: str) -> None:
    from retrieval.workflows.status import status

    status(Path(gallery), repair=True)


def _switch(gallery: str, model: str, force: str = "") -> None:
    from retrieval.workflows import filling
    from retrieval.workflows.switching import switch

    filling._BATCH_IMAGES = BATCH_FILES
    switch(Path(gallery), model, force=bool(force))


def _rollback(gallery: str) -> None:
    from retrieval.workflows.spaces import rollback

    rollback(Path(gallery))


def _drop(gallery: str, fingerprint: str) -> None:
    from retrieval.workflows.spaces import drop_space

    drop_space(Path(gallery), fingerprint)


TASKS: dict[str, Callable[..., None]] = {
    "index": _index,
    "migrate": _migrate,
    "backup": _backup,
    "restore": _restore,
    "repair": _repair,
    "switch": _switch,
    "rollback": _rollback,
    "drop": _drop,
}


# ------------------------------------------------------------------------------------------------------- sabotage


def sabotage(point: str, when: str, nth: int = 1, about: str = "") -> None:
    """Let the process die at a certain call of a function.

    Args:
        point: ``package.module:name`` or ``package.module:Class.name``, where the callers look the function up.
        when: ``"before"`` or ``"after"`` the call; ``"half"``: for ``_write_at``, with half of the bytes written.
        nth: at which call.
        about: only calls count that have this text in one of their arguments.
    """
    module, _, path = point.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    original = getattr(owner, name)
    left = nth

    @functools.wraps(original)
    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        counts = not about or any(about in str(value) for value in (*args, *kwargs.values()))
        left -= counts
        if left or not counts:
            return original(*args, **kwargs)
        if when == "half":
            target, offset, content = args
            original(target, offset, content[: len(content) // 2])
        elif when == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("not reached")

    setattr(owner, name, deadly)


if __name__ == "__main__":
    main()
