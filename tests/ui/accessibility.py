"""axe-core over a page: what it finds, and the few things that are not ours to mend."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

SEVERE = ("serious", "critical")

_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
# Beside what is wrong: how many texts were judged by their contrast. A page that was not there yet is no success.
_RUN = """async (excused) => {
  const found = await axe.run(document);
  const inside = (node, rule) => excused.some(
    ([selector, excusedRule]) => excusedRule === rule && document.querySelector(node.target[0])?.closest(selector),
  );
  const wrong = found.violations.flatMap(({ id, impact, nodes }) => nodes.map((node) => ({
    rule: id,
    impact,
    target: node.target.join(" "),
    why: [...node.any, ...node.all, ...node.none].map((check) => check.message).join("; "),
    excused: Boolean(inside(node, id)),
  })));
  const contrast = found.passes.find(({ id }) => id === "color-contrast");
  return { wrong, judged: contrast ? contrast.nodes.length : 0 };
}"""


@dataclass(frozen=True, slots=True)
class Excuse:
    """What lies inside Gradio's own components and cannot be mended from outside.

    Attributes:
        selector: of the component or its part.
        rule: axe's name of what is wrong there.
        reason: why it stays.
    """

    selector: str
    rule: str
    reason: str


EXCUSED: tuple[Excuse, ...] = ()
"""Nothing at present. An entry is about one rule within one selector; no rule is ever switched off."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What axe says of a page.

    Attributes:
        wrong: (impact, rule, where, why) of each finding that is not excused.
        judged: texts whose contrast was measured and is enough.
    """

    wrong: tuple[tuple[str, str, str, str], ...]
    judged: int

    @property
    def severe(self) -> list[str]:
        """Findings that shut somebody out, a line each."""
        return [" ".join(one) for one in self.wrong if one[0] in SEVERE]


def audit(page: Any, excused: Sequence[Excuse] = EXCUSED) -> Audit:
    """Every rule of axe-core over the document as it is now.

    Args:
        page: Playwright's.
        excused: left out of what is wrong.
    """
    page.evaluate(_AXE)
    found = page.evaluate(_RUN, [[one.selector, one.rule] for one in excused])
    wrong = [one for one in found["wrong"] if not one["excused"]]
    return Audit(tuple((one["impact"], one["rule"], one["target"], one["why"]) for one in wrong), found["judged"])


def settle(page: Any) -> None:
    """Wait until Gradio has drawn the page and nothing changes any more."""
    page.locator("gradio-app .html-container, .gradio-container .html-container").first.wait_for(state="attached")
    size, same = -1, 0
    for _ in range(60):
        now = page.evaluate("document.body.innerHTML.length")
        same = same + 1 if now == size else 0
        if same == 3:
            return
        size = now
        page.wait_for_timeout(200)
