"""Pretrained weights: a hub on this machine, a hub that is away, and one that misbehaves."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save

from retrieval.core.errors import ModelUnavailable, ModelUnsafe, RetrievalError
from retrieval.models import hub
from retrieval.models.create import create_encoder
from retrieval.models.resolve import resolve_model
from retrieval.models.starter import RECOMMENDED, starter_card


class FakeHub(BaseHTTPRequestHandler):
    """As much of the model hub as downloading a file needs."""

    files: dict[str, bytes]
    status = 200
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, body: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        content = self.files.get(self.path.rpartition("/")[2])
        status = self.status if content is not None else 404
        payload = content if content is not None and status == 200 else json.dumps({"error": "no"}).encode()
        self.send_response(status)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("ETag", f'"{hashlib.sha256(payload).hexdigest()}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if body:
            self.wfile.write(payload)

    def log_message(self, *args: Any) -> None:
        pass


def published() -> dict[str, torch.Tensor]:
    torch.manual_seed(9)
    state: dict[str, torch.Tensor] = timm.create_model("test_resnet").state_dict()
    return state


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[FakeHub]]:
    """A hub at an address of this machine, with an empty cache."""
    handler: type[FakeHub] = type(
        "Handler", (FakeHub,), {"files": {"model.safetensors": save(published())}, "asked": []}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    use_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}", tmp_path / "cache")
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def use_hub(monkeypatch: pytest.MonkeyPatch, address: str, cache: Path) -> None:
    from huggingface_hub import file_download

    # The client is kept for the process, with the proxies of whoever asked first.
    huggingface_hub.close_session()

    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    if hasattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE"):
        monkeypatch.setattr(
            file_download, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )


def test_weights_come_from_the_hub_and_are_announced_first(online: type[FakeHub]) -> None:
    said: list[tuple[str, int]] = []

    def announce(message: str) -> None:
        said.append((message, sum(is_download(line) for line in online.asked)))

    encoder, card = resolve_model("test_resnet", announce=announce)
    [(message, downloads_before)] = said
    assert downloads_before == 0
    assert any(is_download(line) for line in online.asked)
    assert "test_resnet" in message
    assert re.search(r"\(\d+ MB\)", message)
    assert card.origin.startswith("hub timm/test_resnet")
    assert card.trained
    assert card.licence == "apache-2.0"
    loaded, expected = encoder.backbone.state_dict(), published()
    assert all(torch.equal(loaded[name], expected[name]) for name in loaded)


def test_a_second_time_neither_asks_nor_announces(online: type[FakeHub]) -> None:
    first = resolve_model("test_resnet", announce=print)[1].fingerprint
    online.asked.clear()
    said: list[str] = []
    assert resolve_model("test_resnet", announce=said.append)[1].fingerprint == first
    assert said == []
    assert online.asked == []


def test_a_hub_that_has_only_a_pickle(online: type[FakeHub]) -> None:
    online.files = {"pytorch_model.bin": b"\x80\x02"}
    with pytest.raises(ModelUnavailable, match="not published as safetensors"):
        create_encoder(backbone="test_resnet", pretrained=True, announce=refuse_to_announce)
    assert not any("pytorch_model.bin" in line for line in online.asked)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_hub_that_refuses(online: type[FakeHub], status: int) -> None:
    online.status = status
    start = time.perf_counter()
    with pytest.raises(ModelUnavailable):
        create_encoder(backbone="test_resnet", pretrained=True, announce=refuse_to_announce)
    assert time.perf_counter() - start < 10


def test_weights_on_the_hub_that_are_damaged(online: type[FakeHub]) -> None:
    online.files = {"model.safetensors": b"\x08\x00\x00\x00\x00\x00\x00\x00{nonsense"}
    with pytest.raises(RetrievalError) as caught:
        create_encoder(backbone="test_resnet", pretrained=True, announce=[].append)
    assert "test_resnet" in caught.value.message


@pytest.fixture
def recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small architecture in the place of the recommended one."""
    monkeypatch.setattr("retrieval.models.starter.RECOMMENDED", "test_resnet")
    monkeypatch.setattr("retrieval.models.starter.RECOMMENDED_SIZE", 64)


@pytest.mark.usefixtures("recommended", "online")
def test_auto_takes_the_recommended_encoder_where_the_hub_gives_it() -> None:
    said: list[str] = []
    _, card = resolve_model("auto", announce=said.append)
    assert (card.backbone, card.preprocessing.input_size, card.trained) == ("test_resnet", 64, True)
    assert re.search(r"Downloading.*MB", said[0])
    assert said[-1].startswith("--model auto takes test_resnet: ")


@pytest.mark.usefixtures("recommended")
def test_auto_takes_the_starter_without_a_network_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path)
    said: list[str] = []
    _, card = resolve_model("auto", announce=said.append)
    assert card.fingerprint == starter_card().fingerprint
    (line,) = said
    assert line.startswith("--model auto takes the starter encoder: The weights of 'test_resnet' cannot be had")


@pytest.mark.usefixtures("recommended")
def test_auto_takes_the_starter_where_the_hub_refuses(online: type[FakeHub]) -> None:
    online.status = 503
    assert resolve_model("auto")[1].fingerprint == starter_card().fingerprint


def test_auto_takes_the_starter_where_what_the_hub_gives_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(**_: Any) -> Any:
        raise ModelUnsafe("The weights are cut off.", "Delete them.")

    monkeypatch.setattr("retrieval.models.create.create_encoder", damaged)
    said: list[str] = []
    _, card = resolve_model("auto", announce=said.append)
    assert card.fingerprint == starter_card().fingerprint
    assert said == ["--model auto takes the starter encoder: The weights are cut off."]


def test_the_recommended_encoder_is_one_that_the_hub_has_as_safetensors() -> None:
    from retrieval.models.backbones import check_backbone_name

    check_backbone_name(RECOMMENDED)
    assert timm.get_pretrained_cfg(RECOMMENDED).hf_hub_id


def is_download(line: str) -> bool:
    return line.startswith("GET") and line.endswith("model.safetensors")


def refuse_to_announce(message: str) -> None:
    pytest.fail(f"announced although nothing can be downloaded: {message}")


def check_offline(error: ModelUnavailable) -> None:
    assert "test_resnet" in error.message
    assert "retrieval model create --backbone test_resnet --weights FILE --out DIR" in error.hint
    assert "--model starter" in error.hint


def test_no_hub_at_that_address_fails_fast_and_says_what_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path)
    start = time.perf_counter()
    with pytest.raises(ModelUnavailable) as caught:
        resolve_model("test_resnet", announce=refuse_to_announce)
    assert time.perf_counter() - start < 10
    check_offline(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_name_server_that_knows_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_hub(monkeypatch, "http://hub.invalid", tmp_path)
    with pytest.raises(ModelUnavailable) as caught:
        resolve_model("test_resnet", announce=refuse_to_announce)
    check_offline(caught.value)


def test_a_hub_that_never_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def hang(*args: Any, **more: Any) -> None:
        time.sleep(30)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", hang)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "PATIENCE_SECONDS", 0.2)
    start = time.perf_counter()
    with pytest.raises(ModelUnavailable, match="no answer") as caught:
        resolve_model("test_resnet", announce=refuse_to_announce)
    assert time.perf_counter() - start < 10
    check_offline(caught.value)


@pytest.mark.parametrize("error", [OSError("broken"), TimeoutError(), RuntimeError("odd"), ValueError("odder")])
def test_a_download_that_breaks_off(online: type[FakeHub], monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*args: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", broken)
    said: list[str] = []
    with pytest.raises(ModelUnavailable) as caught:
        resolve_model("test_resnet", announce=said.append)
    assert len(said) == 1
    check_offline(caught.value)


def test_without_the_hubs_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelUnavailable) as caught:
        resolve_model("test_resnet", announce=refuse_to_announce)
    check_offline(caught.value)


def test_backbones_without_published_weights() -> None:
    bare = next(name for name in timm.list_models("resnet*") if not timm.list_models(f"{name}.*", pretrained=True))
    with pytest.raises(ModelUnavailable, match="no pretrained weights"):
        create_encoder(backbone=bare, pretrained=True, announce=refuse_to_announce)


def test_weights_published_as_a_pickle_by_name() -> None:
    with pytest.raises(ModelUnsafe, match="pickle"):
        hub._source("x", {"hf_hub_id": "someone/x", "hf_hub_filename": "open_clip_pytorch_model.bin"})
