"""The library in a real browser: a newcomer's first steps."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright import sync_api as playwright

from retrieval.workflows.upkeep import list_roots
from tests.ui.conftest import Visit
from ui.words import ENGLISH

expect = playwright.expect
SAID = ENGLISH.library


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
    # Looking made nothing.
    assert list_roots(tmp_path / "gallery") == []
