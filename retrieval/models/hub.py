"""Pretrained weights from the model hub: announced, safetensors only, and quick to fail without a network."""

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from retrieval.core.errors import ModelUnavailable, ModelUnsafe, disk_full_is_said, is_disk_full
from retrieval.models.safety import refuse_pickle

Announce = Callable[[str], None]

ANSWER_SECONDS = 5.0
"""How long the hub may take to answer one request."""

PATIENCE_SECONDS = 12.0
"""How long the question whether the hub can be reached may take in all, slow name servers included."""

FILE = "model.safetensors"


def fetch_pretrained(backbone: str, config: dict[str, Any], announce: Announce) -> Path:
    """The local path of a backbone's pretrained weights, downloaded if they are not in the hub's cache.

    Args:
        backbone: timm's name, for messages.
        config: timm's ``pretrained_cfg`` as a dict.
        announce: called with one line before anything is downloaded.

    Raises:
        ModelUnavailable: timm has no such weights, there is no network, or the hub does not give them.
        ModelUnsafe: they are published as a pickle only.
    """
    repository, file = _source(backbone, config)
    cached = _cached(repository, file)
    if cached is None:
        size = _ask(backbone, repository, file)
        amount = "" if size is None else f" ({size / 1e6:.0f} MB)"
        announce(f"Downloading the weights of {backbone} from the model hub{amount}: {repository}")
        cached = _download(backbone, repository, file)
    refuse_pickle(cached)
    return cached


def offline_hint(backbone: str) -> str:
    """What works without a network."""
    return (
        f"Without a network: bring a safetensors file and run `retrieval model create --backbone {backbone} "
        "--weights FILE --out DIR`, then give DIR as the model; or take `--model starter`, which is there already."
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """timm and the hub's library neither log nor warn inside the block; errors still propagate."""
    loggers = [logging.getLogger(name) for name in ("timm", "huggingface_hub", "httpx", "httpx2")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _source(backbone: str, config: dict[str, Any]) -> tuple[str, str]:
    repository = config.get("hf_hub_id")
    file = config.get("hf_hub_filename") or FILE
    if not repository:
        raise ModelUnavailable(
            f"timm has no pretrained weights for {backbone!r} on the model hub.",
            f"Name one with weights, e.g. a tag of `{backbone}`, or use `--model untrained:{backbone}`.",
        )
    if not file.endswith(".safetensors"):
        raise ModelUnsafe(
            f"The weights of {backbone!r} are published as {file}, a pickle, which could run code.",
            "Choose a backbone whose weights are published as safetensors.",
        )
    return str(repository), str(file)


def _cached(repository: str, file: str) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(repository, file)
    except Exception:  # a broken cache, or no hub library: asking the hub tells which
        return None
    return Path(found) if isinstance(found, str) else None


def _ask(backbone: str, repository: str, file: str) -> int | None:
    """Size of the file in bytes, if the hub tells; one request and no retries, so that offline is told in seconds."""
    outcome: list[int | Exception | None] = []

    def request() -> None:
        try:
            from huggingface_hub import get_hf_file_metadata, hf_hub_url

            outcome.append(get_hf_file_metadata(hf_hub_url(repository, file), timeout=ANSWER_SECONDS).size)
        except Exception as error:
            outcome.append(error)

    # In a thread of its own, because nothing bounds the time that a name server may take.
    thread = threading.Thread(target=request, daemon=True, name="hub")
    with quiet():
        thread.start()
        thread.join(PATIENCE_SECONDS)
    if not outcome:
        raise _unavailable(backbone, f"no answer within {PATIENCE_SECONDS:.0f} seconds")
    answer = outcome[0]
    if isinstance(answer, Exception):
        raise _refusal(backbone, repository, file, answer) from answer
    return answer


def _download(backbone: str, repository: str, file: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download

        with quiet(), _no_bars():
            return Path(hf_hub_download(repository, file, etag_timeout=ANSWER_SECONDS))
    except Exception as error:
        # A full disk keeps its own error and exit code.
        with disk_full_is_said("the model hub's cache"):
            if is_disk_full(error):
                raise
        raise _refusal(backbone, repository, file, error) from error


def _refusal(backbone: str, repository: str, file: str, error: Exception) -> ModelUnavailable:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "RemoteEntryNotFoundError" in kinds or (
        "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds
    ):
        return ModelUnavailable(
            f"{repository} on the model hub has no {file}: its weights are not published as safetensors.",
            "Choose a backbone whose weights are published as safetensors.",
        )
    first = (str(error).strip().splitlines() or [""])[0]
    return _unavailable(backbone, f"{type(error).__name__}: {first}" if first else type(error).__name__)


def _unavailable(backbone: str, reason: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The weights of {backbone!r} cannot be had from the model hub ({reason}).", offline_hint(backbone)
    )


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    from huggingface_hub import utils

    bars: Any = utils  # its own type hints hide these three
    if bars.are_progress_bars_disabled():
        yield
        return
    bars.disable_progress_bars()
    try:
        yield
    finally:
        bars.enable_progress_bars()
