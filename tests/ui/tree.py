"""HTML, taken apart."""

from html.parser import HTMLParser

_VOID = {"img", "br", "meta", "link", "base", "input", "rect", "circle", "path"}


class Tree(HTMLParser):
    """Notes tags and text, and fails on tags that do not pair."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def with_class(self, name: str) -> list[tuple[str, dict[str, str | None]]]:
        return [tag for tag in self.tags if name in (tag[1].get("class") or "").split()]
