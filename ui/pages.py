"""The pages, in the order of the navigation. A page joins by its line here."""

from ui.labels.export import export_routes
from ui.labels.page import LabelsPage
from ui.library.page import LibraryPage
from ui.search_page import SearchPage
from ui.shell.page import Page
from ui.teach.page import TeachPage
from ui.understand.page import UnderstandPage
from ui.understand.routes import understand_routes

PAGES: tuple[Page, ...] = (
    Page(lambda words: words.shell.search, "", SearchPage, needs_gallery=False, tells_paths=False),
    Page(lambda words: words.shell.library, "library", LibraryPage),
    Page(lambda words: words.shell.labels, "labels", LabelsPage, routes=export_routes),
    Page(lambda words: words.shell.teach, "teach", TeachPage),
    Page(
        lambda words: words.shell.understand,
        "understand",
        UnderstandPage,
        tells_paths=False,
        routes=understand_routes,
    ),
)
