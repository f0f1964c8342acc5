"""The search as a tool: Gradio's own server for it, behind the same guards as everything else."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from retrieval.core.errors import BadValue
from tests.conftest import need
from tests.ui.drawing import picture
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui import mcp
from ui.app import create_app

ASKING = {"Accept": "application/json, text/event-stream"}
HELLO = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
AUTH = ("anna", "secret")


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    need(mcp.find_spec("mcp"), "the tool server needs the package mcp")
    app = create_app(SearcherTwin(), ViewsTwin(), hosts={"testserver"}, auth=[AUTH], max_upload_bytes=50_000, mcp=True)
    with TestClient(app) as client:
        yield client


def call(client: TestClient, method: str, values: dict[str, Any], **arguments: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": values}
    return client.post(f"{mcp.PATH}/", json=body, headers={**ASKING, **arguments.pop("headers", {})}, **arguments)


def told(answer: Any) -> Any:
    """The result, as JSON or as the one event of a stream."""
    found = re.search(r"^data: (.*)$", answer.text, re.MULTILINE)
    return json.loads(found[1] if found else answer.text)["result"]


def test_the_search_is_its_only_tool(client: TestClient) -> None:
    assert told(call(client, "initialize", HELLO, auth=AUTH))["serverInfo"]
    tools = told(call(client, "tools/list", {}, auth=AUTH))["tools"]
    assert len(tools) == 1
    assert "search" in tools[0]["name"]
    assert {"image", "k", "labels"} <= set(tools[0]["inputSchema"]["properties"])


def test_the_tool_finds_neighbours_and_asks_no_server_for_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise AssertionError("a server was asked")

    monkeypatch.setattr("gradio.mcp.GradioMCPServer._get_or_create_client", connect)
    (tool,) = told(call(client, "tools/list", {}, auth=AUTH))["tools"]
    data = "data:image/png;base64," + base64.b64encode(picture((200, 120, 40), 1)).decode()
    asked = {"name": tool["name"], "arguments": {"image": data, "k": 3}}
    answer = told(call(client, "tools/call", asked, auth=AUTH, headers={"X-Forwarded-Host": "evil.example"}))
    assert not answer.get("isError"), answer
    assert '"rank": 1' in answer["content"][0]["text"].replace("'", '"')


def test_the_guards_stand_before_it(client: TestClient) -> None:
    assert call(client, "tools/list", {}).status_code == 401
    assert call(client, "tools/list", {}, auth=("anna", "wrong")).status_code == 401
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert call(client, "tools/list", {}, auth=AUTH, headers=headers).status_code == 403
    assert call(client, "tools/list", {}, auth=AUTH, headers={"Host": "evil.example"}).status_code == 421
    assert call(client, "tools/list", {"x": "y" * 2_000_000}, auth=AUTH).status_code == 413


@pytest.mark.parametrize("image", ["/etc/passwd", "http://127.0.0.1:1/x.png", "https://example.org/x.png"])
def test_no_address_is_fetched_and_no_other_file_read(
    client: TestClient, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("something was fetched")

    for name in ("save_url_to_cache", "async_ssrf_protected_download", "ssrf_protected_download"):
        monkeypatch.setattr(f"gradio.processing_utils.{name}", fetch)
    (tool,) = told(call(client, "tools/list", {}, auth=AUTH))["tools"]
    file = {"path": image, "meta": {"_type": "gradio.FileData"}}
    asked = {"name": tool["name"], "arguments": {"image": file}}
    assert call(client, "tools/call", asked, auth=AUTH).status_code == 403
    answer = call(client, "tools/call", {**asked, "arguments": {"image": image}}, auth=AUTH)
    assert told(answer)["isError"]
    assert "neighbours" not in answer.text
    assert "something was fetched" not in answer.text


def test_it_is_off_unless_asked_for() -> None:
    with TestClient(create_app(SearcherTwin(), ViewsTwin(), hosts={"testserver"}, pages=())) as client:
        assert call(client, "tools/list", {}).status_code in (404, 405)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "find_spec", lambda _: None)
    with pytest.raises(BadValue, match=r"retrieval\[mcp\]"):
        create_app(SearcherTwin(), ViewsTwin(), mcp=True)
