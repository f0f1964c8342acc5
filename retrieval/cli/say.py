"""What the command line says: messages and progress on stderr, results on stdout."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from retrieval.core.errors import BadValue, RetrievalError
from retrieval.core.text import shown

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from retrieval.workflows.index_report import Progress

messages = Console(stderr=True, highlight=False)
# In a pipe or a file nothing is folded: a path that is broken over lines cannot be used.
results = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)


def note(text: str) -> None:
    """One line for people, on stderr."""
    messages.print(escape(shown(text)), soft_wrap=True)


def warn(text: str) -> None:
    """One line that should not be missed, on stderr."""
    messages.print(f"[yellow]Note:[/] {escape(shown(text))}", soft_wrap=True)


def error_line(error: RetrievalError) -> None:
    """An error: what is wrong and what to do next, on stderr."""
    messages.print(f"[bold red]Error:[/] {escape(shown(error.message))} {escape(shown(error.hint))}", soft_wrap=True)


def json_text(value: Any) -> str:
    """A result for programs. ASCII only: names that are not valid text survive as escapes."""
    return json.dumps(value, indent=2, default=str)


def print_json(value: Any) -> None:
    """A result for programs on stdout, see ``json_text``."""
    sys.stdout.write(json_text(value) + "\n")
    sys.stdout.flush()


def table(*columns: str) -> Table:
    """A plain table; a column whose name starts with ``>`` is right-aligned."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return made


def size(count: float) -> str:
    """Bytes for people, in powers of 1000 as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


@contextmanager
def on_a_terminal(bar: "RichProgress") -> Iterator[None]:
    """Show rich's bar while the block runs; elsewhere than on a terminal it would leave nothing but an empty line."""
    if not messages.is_interactive:
        yield
        return
    with bar:
        yield


class Bar:
    """A progress bar with rate, time left and failures; does nothing until the first report."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._progress = RichProgress(
            TextColumn("Indexing"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[failed]}"),
            console=messages,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, rate="", left="", failed="", visible=False)

    def report(self, progress: "Progress") -> None:
        """Show how far a run is."""
        left = "" if progress.seconds_left is None else f"{duration(progress.seconds_left)} left"
        self._progress.update(
            self._task,
            visible=True,
            completed=progress.done,
            total=progress.total,
            rate=f"{progress.images_per_second:.1f}/s",
            left=left if progress.done < progress.total else "",
            failed=f"[red]{progress.failed} failed[/]" if progress.failed else "",
        )

    @contextmanager
    def shown(self) -> Iterator["Bar"]:
        """Show the bar while the block runs."""
        with on_a_terminal(self._progress):
            yield self


def ask(question: str, yes: bool) -> None:
    """Go on only after a yes. Raises BadValue where there is nobody to ask; a no ends the command with code 0."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadValue("This needs a yes, and there is nobody to ask.", "Add --yes.")
    if not typer.confirm(question, err=True):
        messages.print("Nothing was changed.")
        raise typer.Exit(0)
