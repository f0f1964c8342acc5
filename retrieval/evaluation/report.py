"""The report of a run: one HTML file that opens anywhere, without network and without scripts.

It says first whether the new model is better, then shows why one may believe that: metrics before and after with
their intervals, which labels gained and lost, which queries, how training went, and what the scores mean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from retrieval.core.errors import disk_full_is_said
from retrieval.core.files import write_atomically
from retrieval.core.types import NO_ID
from retrieval.evaluation import report_parts as parts
from retrieval.evaluation.comparison import Comparison
from retrieval.evaluation.markup import tag, text
from retrieval.evaluation.pictures import Picture, QueryRow, QuerySection, Ranking
from retrieval.evaluation.reliability import Reliability
from retrieval.evaluation.retrieval import MAP_AT_R, RetrievalResult
from retrieval.evaluation.svg import Chart
from retrieval.evaluation.threshold import Threshold

_STYLE = Path(__file__).with_name("report.css")

# The page may load nothing: neither from the network nor from the disk, whatever a label tries.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Report:
    """What the page shows; a part that is empty or None is left out.

    Attributes:
        title: for example the recipe's and the dataset's name.
        subtitle: one line below it.
        facts: what was done, with what: term and value.
        notes: what the reader must know before the figures (alarms, a leaking split, images that were left out).
        comparison: start against result on held-out labels.
        result: one model alone, where there is nothing to compare with.
        label_free: what can be said without labels: name, value before, value after, and what it means.
        class_names: the label of each class number.
        charts: how training went.
        reliability, threshold: what the scores of the (new) model mean.
        queries: rows of pictures.
        details: title and plain text of folded parts, such as the resolved recipe.
    """

    title: str
    subtitle: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    comparison: Comparison | None = None
    result: RetrievalResult | None = None
    label_free: Sequence[tuple[str, str, str, str]] = ()
    class_names: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    reliability: Reliability | None = None
    threshold: Threshold | None = None
    queries: Sequence[QuerySection] = ()
    details: Sequence[tuple[str, str]] = ()


def render(report: Report) -> str:
    """The page as HTML. Raises ValueError where a class of the comparison has no name."""
    content = parts.head(report.title, report.subtitle, report.comparison)
    content += parts.notes(report.notes)
    if report.comparison is not None:
        content += parts.before_and_after(report.comparison)
    elif report.result is not None:
        content += parts.alone(report.result)
    if report.comparison is not None:
        content += parts.classes(report.comparison, report.class_names)
    content += parts.without_labels(report.label_free)
    content += "".join(parts.queries(section) for section in report.queries)
    content += parts.confidence(report.reliability, report.threshold)
    content += parts.charts(report.charts)
    content += parts.facts(report.facts, report.details)
    return page(report.title, content)


def page(title: str, content: str, style: str = "") -> str:
    """A whole page that opens anywhere.

    Args:
        title: of the window, plain text.
        content: HTML.
        style: further CSS, after that of all reports.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n"
        f"<style>\n{_STYLE.read_text('utf-8')}{style}</style>\n</head>\n"
        f"<body>\n{tag('main', content)}\n</body>\n</html>\n"
    )


def write_report(path: Path, report: Report) -> None:
    """Write the page so that a crash leaves the old file or the new one. Raises as ``write_page``."""
    write_page(path, render(report))


def write_page(path: Path, content: str) -> None:
    """Write a page so that a crash leaves the old file or the new one.

    Raises:
        DiskFull: no space is left.
        OSError: the file cannot be written.
    """
    with disk_full_is_said(f"the report {path.name}"):
        write_atomically(path, content.encode())


def query_rows(
    places: Sequence[int],
    results: Mapping[str, RetrievalResult],
    query: Callable[[int], Picture],
    match: Callable[[int], Picture] | None = None,
    *,
    metric: str = MAP_AT_R,
    shown: int = 6,
) -> list[QueryRow]:
    """Rows of pictures: some queries and the first matches that each model gave them.

    Args:
        places: rows of the queries in the results.
        results: title of a ranking ("Before", "After") and the result it comes from; the same queries in all.
        query: picture, label and name of a query, by its id.
        match: the same of a match, by its id; None where queries and matches come from one set.
        metric: whose value of the query is shown beside the title.
        shown: matches a ranking; no more than were kept.
    """
    look_up = query if match is None else match
    rows = []
    for place in places:
        rankings = []
        for title, result in results.items():
            found = zip(
                result.matches.ids[place, :shown].tolist(),
                result.matches.scores[place, :shown].tolist(),
                result.relevant[place, :shown].tolist(),
                strict=True,
            )
            pictures = [replace(look_up(id_), score=score, same=same) for id_, score, same in found if id_ != NO_ID]
            rankings.append(Ranking(title, metric, float(result.values[metric][place]), pictures))
        first = next(iter(results.values()))
        rows.append(QueryRow(query(int(first.query_ids[place])), rankings))
    return rows
