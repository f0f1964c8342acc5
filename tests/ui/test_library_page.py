"""The library in a real browser: a newcomer's first steps."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright import sync_api as playwright

from retrieval.workflows.upkeep import list_roots
from tests.ui.conftest import Visit, running
from ui.words import ENGLISH

expect = playwright.expect
SAID = ENGLISH.library


@pytest.fixture
def arrive(contexts: Callable[..., Any], opened: Callable[..., FastAPI]) -> Iterator[Callable[..., Visit]]:
    """Opens a page of a gallery; checks in the end that all was calm and nothing stood out to the side."""
    visits: list[Visit] = []
    servers: list[Any] = []

    def open_page(gallery: Path, path: str, **arguments: Any) -> Visit:
        servers.append(running(opened(gallery, gallery=gallery)))
        visits.append(Visit(contexts(**arguments), servers[-1].__enter__()))
        visits[-1].page.goto(visits[-1].address + path)
        return visits[-1]

    yield open_page
    for one in visits:
        assert one.overflow() == 0
        one.page.close()
        one.assert_calm()
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("width", [1440])
def test_an_empty_gallery_leads_to_adding_a_folder_and_says_what_is_in_it(
    arrive: Callable[..., Visit], tmp_path: Path, pictures: Path, width: int
) -> None:
    page = arrive(tmp_path / "gallery", "/", viewport={"width": width, "height": 844}).page
    page.locator("#samples").get_by_role("link", name=SAID.empty_action).click()
    expect(page.get_by_role("heading", name=SAID.first_title)).to_be_visible(timeout=30_000)
    field = page.get_by_label(SAID.path).first
    field.press_sequentially(str(pictures)[:-2])
    page.get_by_role("button", name=str(pictures), exact=True).click()
    expect(field).to_have_value(str(pictures), timeout=30_000)
    page.get_by_role("button", name=SAID.look).click()
    expect(page.locator(".lib-look")).to_contain_text("to read", timeout=30_000)
    expect(page.get_by_role("button", name=SAID.add)).to_be_visible(timeout=30_000)
    # The model is a choice; a path is asked for only where it is in a folder.
    folder = page.get_by_label(SAID.model_path)
    expect(page.get_by_label(SAID.model_own)).to_be_checked()
    expect(page.get_by_label(re.compile(r"\(88\.0 MB\)"))).to_be_visible()
    expect(folder).to_have_count(0)
    page.get_by_label(SAID.model_folder).check()
    expect(folder).to_be_visible(timeout=30_000)
    page.get_by_role("button", name=SAID.add).click()
    expect(page.locator("#library-told")).to_contain_text(SAID.model_missing, timeout=30_000)
    # Neither made anything.
    assert list_roots(tmp_path / "gallery") == []
