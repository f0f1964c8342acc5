"""A newcomer's walk, in a real browser and with a real server: from an empty gallery to a model that was taught.

``python -m tests.ui.walk PHOTOS --out FOLDER [--model M] [--photo FILE] [--readme]``

PHOTOS holds a folder of photos for each label. A copy of it lies in the home of a person who has just installed the
program; one photo is held out, and searched with before and after the lesson. In a terminal the person types
``retrieval serve`` and nothing else. FOLDER gets ``steps.md``, a table of what was done and when, and a picture of each
step.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.ui.conftest import CHROMIUM_FLAGS, chromium
from tests.ui.screenshots.small import keep_for_readme
from ui.teach.choose import DEEP, QUICK
from ui.words import ENGLISH

MINUTE = 60_000
LONG = 60 * MINUTE
_NEIGHBOURS = 10


@dataclass
class Notes:
    """What was done, when, and how it looked.

    Attributes:
        folder: gets the pictures.
        start: when the person began, as ``time.monotonic`` tells it.
        rows: (seconds since the start, what the person did, what came of it, name of the picture).
    """

    folder: Path
    start: float = field(default_factory=time.monotonic)
    rows: list[tuple[float, str, str, str]] = field(default_factory=list)

    def take(self, page: Page, name: str, did: str, came: str, look_at: Locator | None = None) -> None:
        """Note a step that has come to its end, and take its picture."""
        seconds = time.monotonic() - self.start
        if look_at is not None:
            look_at.evaluate("element => element.scrollIntoView({block: 'start'})")
        # Pictures come after what they stand in; none of the person's time is spent on this.
        page.wait_for_timeout(1500)
        picture = f"{len(self.rows) + 1:02d}-{name}.png"
        page.screenshot(path=self.folder / picture)
        self.rows.append((seconds, did, came, picture))
        self.start += time.monotonic() - self.start - seconds

    def table(self, readme: bool) -> str:
        """The steps in Markdown, each with its picture: that of the README, or that in ``folder``."""
        head = "| seconds | step | what came of it | picture |\n|---|---|---|---|\n"
        lines = (
            f"| {seconds:.0f} | {did} | {came} | [seen]({_in_readme(picture) if readme else picture}) |\n"
            for seconds, did, came, picture in self.rows
        )
        return head + "".join(lines)


def _in_readme(picture: str) -> str:
    return f".github/{_kept_as(picture)}.png"


def _kept_as(picture: str) -> str:
    return f"walk-{Path(picture).stem.partition('-')[2]}"


def main() -> None:
    """Walk, and write down how it was."""
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="walk-") as scratch:
        home = Path(scratch) / "anna"
        photo, label = _settle_in(home, asked.photos, asked.photo)
        notes = Notes(asked.out)
        with _serving(home) as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
            page = browser.new_page(viewport={"width": asked.width, "height": asked.height})
            page.set_default_timeout(2 * MINUTE)
            walk(page, address, home / "Photos", photo, label, asked.model, notes)
            browser.close()
    table = notes.table(asked.readme)
    (asked.out / "steps.md").write_text(table, "utf-8")
    for _, _, _, picture in notes.rows if asked.readme else ():
        keep_for_readme((asked.out / picture).read_bytes(), _kept_as(picture))
    print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder of photos for each label")
    parser.add_argument("--out", type=Path, required=True, help="gets the table and the pictures")
    parser.add_argument("--model", default="", help="folder of a model to choose; the program's own by default")
    parser.add_argument(
        "--photo",
        type=Path,
        help="to search with, in a folder that is called as its label; of PHOTOS it is held out. By default the first "
        "of the middle label",
    )
    parser.add_argument("--readme", action="store_true", help="also keep the pictures in .github, for the README")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    return parser.parse_args()


def _settle_in(home: Path, photos: Path, photo: Path | None) -> tuple[Path, str]:
    """A home with the photos but one; gives that one and its label."""
    labels = sorted(folder for folder in photos.iterdir() if folder.is_dir())
    photo = photo or min(path for path in labels[len(labels) // 2].iterdir() if path.is_file())
    shutil.copytree(photos, home / "Photos", ignore=lambda at, _: [photo.name] if Path(at) == photo.parent else [])
    held_out = home / "Downloads" / photo.name
    held_out.parent.mkdir()
    shutil.copy(photo, held_out)
    return held_out, photo.parent.name


@contextmanager
def _serving(home: Path) -> Iterator[str]:
    """``retrieval serve`` of a person whose home is ``home``; gives the address that it says."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RETRIEVAL_GALLERY", "XDG_"))}
    command = [sys.executable, "-m", "retrieval", "serve", "--port", "0"]
    server = subprocess.Popen(command, env={**own, "HOME": str(home)}, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        said = ""
        for said in server.stdout:
            found = re.search(r"http://\S+", said)
            if found:
                # What it says from now on is of no use, but must not fill the pipe.
                threading.Thread(target=server.stdout.read, daemon=True).start()
                yield found[0]
                break
        else:
            raise SystemExit(f"The server did not start: {said}")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def walk(page: Page, address: str, photos: Path, photo: Path, label: str, model: str, notes: Notes) -> None:
    """All steps; each is what a person finds on the page, by the words that stand there.

    Args:
        page: in the browser.
        address: of the server.
        photos: to add.
        photo: that is not among them, to search with.
        label: of it.
        model: folder of one to choose; empty for the program's own.
        notes: of the steps.
    """
    _arrive(page, address, notes)
    _add(page, photos, model, notes)
    _search(page, photo, label, "search", notes)
    _see_labels(page, notes)
    if _learn(page, notes):
        _search(page, photo, label, "again", notes)


def _arrive(page: Page, address: str, notes: Notes) -> None:
    page.goto(address)
    page.locator("#samples").get_by_role("link", name=ENGLISH.library.empty_action).wait_for()
    notes.take(page, "empty", "`retrieval serve`, and opened the address it says", "An empty gallery")


def _add(page: Page, photos: Path, model: str, notes: Notes) -> None:
    said = ENGLISH.library
    page.locator("#samples").get_by_role("link", name=said.empty_action).click()
    page.get_by_role("button", name=str(photos), exact=True).click()
    expect(page.get_by_label(said.path).first).to_have_value(str(photos))
    typed = ""
    if model:
        page.get_by_label(said.model_folder).check()
        page.get_by_label(said.model_path).fill(model)
        typed = ", gave the folder of an encoder"
    page.get_by_role("button", name=said.look).click()
    page.get_by_role("button", name=said.add).wait_for()
    told = page.locator(".lib-look p:not(.lib-path), .lib-look h3").all_inner_texts()
    notes.take(page, "folder", f"**Library**: chose the folder{typed}, **{said.look}**", "; ".join(told))
    page.get_by_role("button", name=said.add).click()
    done = page.locator(".lib-work.done")
    expect(done.or_(page.locator("#library-work .notice"))).to_be_visible(timeout=LONG)
    came = done.locator("p").first.inner_text()
    notes.take(page, "indexed", f"**{said.add}**", came)


def _search(page: Page, photo: Path, label: str, name: str, notes: Notes) -> None:
    page.get_by_role("navigation", name=ENGLISH.shell.pages).get_by_role("link", name=ENGLISH.shell.search).click()
    page.locator("button.sample").first.wait_for()
    page.set_input_files("#photo input[type=file]", photo)
    page.locator("#results button.card img").first.wait_for()
    cards = page.locator("#results li:not(.copy) button.card").all()[:_NEIGHBOURS]
    right = sum(label in card.locator(".label").all_inner_texts() for card in cards)
    did = f"**{ENGLISH.shell.search}**: dropped a photo that is not in the folder ({label})"
    notes.take(page, name, did, f"{right} of the first {len(cards)} show the same")


def _see_labels(page: Page, notes: Notes) -> None:
    page.get_by_role("navigation", name=ENGLISH.shell.pages).get_by_role("link", name=ENGLISH.shell.labels).click()
    count = page.locator(".labels-count strong")
    count.wait_for()
    page.locator(".tile[data-id] img").first.wait_for()
    did = f"**{ENGLISH.shell.labels}**: looked; the names of the folders are the labels"
    notes.take(page, "labels", did, count.inner_text())


def _learn(page: Page, notes: Notes) -> bool:
    """The quick lesson and, where the gate refuses what came of it, the thorough one; says whether one was let in."""
    said = ENGLISH.teach
    page.get_by_role("navigation", name=ENGLISH.shell.pages).get_by_role("link", name=ENGLISH.shell.teach).click()
    return _take(page, "lesson", QUICK, said.quick, notes) or _take(page, "deep-lesson", DEEP, said.deep, notes)


def _take(page: Page, name: str, recipe: str, title: str, notes: Notes) -> bool:
    said = ENGLISH.teach
    card = page.locator(f"[data-do=choose][data-of={recipe}]")
    if card.get_attribute("aria-pressed") != "true":
        card.click()
        expect(card).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name=said.start).click()
    page.locator("#teach-watch .teach-state.running").wait_for()
    expect(page.locator("#teach-watch .teach-state:is(.done, .failed, .lost, .cancelled)")).to_be_visible(timeout=LONG)
    proof = page.locator("#teach-proof")
    proof.locator(".teach-figure").first.wait_for()
    sentence = proof.locator(".teach-figure p").first.inner_text()
    notes.take(page, name, f"**{ENGLISH.shell.teach}**: **{title}**, **{said.start}**", sentence, proof)
    switch = page.locator("#teach-switch")
    if not page.locator("[data-do=ask-switch]").first.is_visible():
        refused = switch.locator("p").first.inner_text()
        notes.take(page, f"{name}-refused", "Looked for the switch", refused, switch)
        return False
    switch.locator("[data-do=ask-switch]").click()
    switch.locator("[data-do=switch-now]").click()
    expect(switch).to_contain_text(said.is_live, timeout=LONG)
    notes.take(page, "switched", f"**{said.switch_ask}**, **{said.switch_now}**", said.is_live, switch)
    return True


if __name__ == "__main__":
    main()
