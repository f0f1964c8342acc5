"""Labels in and out: a table to send, a table to save, and the names of folders."""

from retrieval.workflows.label_upload import UploadReport
from ui.labels.asked import Look
from ui.labels.export import ADDRESS
from ui.labels.grid import open_view
from ui.labels.head import render_keys, render_tabs
from ui.markup import escape, prose
from ui.notices import render_notice
from ui.words import Words

_ROWS_SHOWN = 20


def render_files(look: Look, words: Words, stamp: str = "", *, may_write: bool = True) -> str:
    """The tab of tables and folder names. The button that sends a table stands below it, and is Gradio's."""
    said = words.labels
    keys = render_keys([("u", said.key_undo), ("?", said.key_keys)], words) if may_write else ""
    return (
        f"{open_view(look, stamp)}{render_tabs('files', words, may_write=may_write)}"
        f'<div class="labels-files"><section><h2>{escape(said.save_title)}</h2><p>{escape(said.save_text)}</p>'
        f'<p class="labels-links"><a class="quiet" href="./{ADDRESS}" download="labels.csv">{escape(said.save)}</a>'
        f'<a class="quiet" href="./{ADDRESS}?automatic=true" download="labels.csv">{escape(said.save_automatic)}</a>'
        f"</p></section>{_taking(words) if may_write else ''}</div>{keys}</section>"
    )


def _taking(words: Words) -> str:
    """What brings labels in."""
    said = words.labels
    return (
        f"<section><h2>{escape(said.folders_title)}</h2><p>{escape(said.folders_text)}</p>"
        f'<p><button type="button" class="quiet" data-do="folders">{escape(said.folders)}</button></p></section>'
        f"<section><h2>{escape(said.send_title)}</h2><p>{prose(said.send_text)}</p></section>"
    )


def render_sent(done: UploadReport, words: Words) -> str:
    """What a table did, and every row that could not be used."""
    said = words.labels
    title = said.sent.of(done.report.added).format(rows=f"{done.rows:,}")
    if not done.bad:
        return render_notice("info", title)
    why = {
        "no_path": said.row_no_path,
        "no_label": said.row_no_label,
        "unknown": said.row_unknown,
        "bad_path": said.row_bad_path,
    }
    rows = "".join(
        f"<li><b>{escape(said.row.format(line=f'{row.line:,}'))}</b> {escape(why[row.why])}"
        f" <code>{escape(row.value, 120)}</code></li>"
        for row in done.bad[:_ROWS_SHOWN]
    )
    more = len(done.bad) - _ROWS_SHOWN
    rest = f"<li>{escape(said.and_more.format(n=f'{more:,}'))}</li>" if more > 0 else ""
    notice = render_notice("warning", title, said.rows_left.of(len(done.bad)))
    return f'{notice}<ul class="labels-rows">{rows}{rest}</ul>'
