"""Looking after a gallery: ``status``, ``failures``, ``roots``, ``prune``, ``backup``, ``restore``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.index import quiet_hooks, show_report, stopping
from retrieval.cli.options import GalleryOption, JsonOption, WorkersOption, YesOption, gallery_folder
from retrieval.cli.say import Bar, ask, note, print_json, results, size, table
from retrieval.core.errors import GalleryDamaged
from retrieval.core.text import shown
from retrieval.workflows.words import count

if TYPE_CHECKING:
    from retrieval.workflows.status import Status


def status(
    gallery: GalleryOption = None,
    check: Annotated[bool, typer.Option("--check", help="Read and verify everything.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Verify everything and mend what can be mended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what the gallery holds, and whether its parts agree."""
    from retrieval.workflows.status import status as look

    found = look(gallery_folder(gallery), check=check, repair=repair)
    if as_json:
        print_json(found.to_dict())
    else:
        _print_status(found)
    if not found.agree:
        hint = "Restore a backup, or index again." if repair else "Run `retrieval status --repair`."
        raise GalleryDamaged(f"The parts of the gallery do not agree: {found.problems[0]}.", hint)


def _print_status(found: "Status") -> None:
    rows = table("", "")
    rows.add_row("gallery", escape(shown(found.gallery)))
    rows.add_row("images", f"{found.images:,}")
    files = f"{found.files:,} ({found.failed:,} failed, {found.missing:,} missing, {found.offline_files:,} offline)"
    rows.add_row("files", files)
    for root in found.offline_roots:
        rows.add_row("offline", f"{escape(root)} [dim](`retrieval roots` says why)[/]")
    for space in found.spaces:
        trained = "" if space.trained or space.model == "untrained" else " [yellow](untrained)[/]"
        live = "live" if space.live else "not live"
        rows.add_row("space", f"{space.fingerprint[:16]}, {live}: {escape(space.model)}{trained}")
        vectors = count(space.vectors, "vector")
        rows.add_row("", f"{vectors} of {space.dimension} dimensions, {space.findable:,} findable")
    if found.index is None:
        rows.add_row("index", "none yet")
    else:
        behind = f", {count(found.index.behind, 'change')} behind" if found.index.behind else ""
        vectors = count(found.index.vectors, "vector")
        rows.add_row("index", f"{found.index.kind}, {vectors}{behind}, recall@10 {found.index.recall:.3f}")
        rows.add_row("", escape(found.index.reason))
    rows.add_row("disk", ", ".join(f"{name} {size(taken)}" for name, taken in found.bytes.items()))
    verdict = "[green]agree[/]" if found.agree else "[red]do not agree[/]"
    how = "everything was read" if found.checked else "quick look; --check reads everything"
    rows.add_row("parts", f"{verdict} ({how})")
    results.print(rows)
    for line in found.repaired:
        results.print(f"[green]repaired[/] {escape(line)}")
    for line in found.problems:
        results.print(f"[red]problem[/] {escape(line)}")


def failures(
    gallery: GalleryOption = None,
    retry: Annotated[bool, typer.Option("--retry", help="Read every failed file again.")] = False,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """List every failed file with its reason, or try them again."""
    folder = gallery_folder(gallery)
    if retry:
        from retrieval.workflows.indexing import retry_failures

        with stopping() as stop, Bar().shown() as bar:
            report = retry_failures(folder, workers=workers, hooks=quiet_hooks(bar, stop))
        show_report(report, folder, as_json)
        return
    from retrieval.workflows.upkeep import failures as list_failures

    failed = list_failures(folder)
    if as_json:
        print_json([{"path": f.path, "reason": f.reason, "message": f.message, "hint": f.hint} for f in failed])
        return
    rows = table("reason", "file", "what is wrong")
    for f in failed:
        rows.add_row(f.reason, escape(shown(f.path)), escape(shown(f"{f.message} {f.hint}".strip())))
    results.print(rows) if failed else note("No file failed.")


def roots(
    gallery: GalleryOption = None,
    remove: Annotated[
        Path | None, typer.Option("--remove", metavar="PATH", help="Forget this folder and all its files.")
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the folders that were indexed, or forget one. Files on disk are never touched."""
    from retrieval.workflows import upkeep

    folder = gallery_folder(gallery)
    if remove is not None:
        ask(f"Forget {shown(str(remove.absolute()))} and all its files in the gallery? The files stay on disk.", yes)
        forgotten = upkeep.remove_root(folder, remove)
        if as_json:
            print_json({"forgotten": forgotten})
        else:
            results.print(f"{count(forgotten, 'file')} forgotten.")
        return
    listed = upkeep.list_roots(folder)
    if as_json:
        print_json([asdict(root) for root in listed])
        return
    rows = table("folder", "state", ">present", ">missing", ">failed")
    for root in listed:
        state = "online" if root.online else f"[yellow]offline[/]: {escape(root.why)}"
        rows.add_row(escape(shown(root.path)), state, str(root.present), str(root.missing), str(root.failed))
    results.print(rows)
    if any(not root.online and not root.present for root in listed):
        note("`retrieval roots --remove FOLDER` forgets a folder that is gone for good, or has another name now.")


def prune(gallery: GalleryOption = None, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Forget files that are gone from folders that can be reached. Offline folders are left alone."""
    from retrieval.workflows import upkeep

    folder = gallery_folder(gallery)
    gone, left = upkeep.missing_files(folder), upkeep.left_behind(folder)
    forgotten = 0
    if gone or left:
        for path in gone[:10]:
            note(f"  {shown(path)}")
        if len(gone) > 10:
            note(f"  and {len(gone) - 10:,} more")
        for root in left:
            failed = f"and its {count(root.failed, 'failure')}" if root.failed else "of which nothing is known any more"
            note(f"  the folder {shown(root.path)}, which is offline, {failed}")
        what = [count(len(gone), "file")] if gone else []
        what += [count(len(left), "folder")] if left else []
        ask(f"Forget {' and '.join(what)}? What is on your disks stays there.", yes)
        forgotten = upkeep.prune(folder, only={*gone, *(root.path for root in left)})
    if as_json:
        print_json({"forgotten": forgotten})
    else:
        results.print(f"{count(forgotten, 'file')} forgotten.")
    for root in upkeep.list_roots(folder):
        if not root.online and (root.present or root.missing):
            note(f"{shown(root.path)} is offline ({root.why}) and was left alone.")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; must not exist.")],
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the gallery to one file, also while it is in use: catalog with labels, vectors, encoders.

    Training runs, photos that were searched with and the records of jobs stay out, as do the pictures themselves; index
    and maps are made again.
    """
    from retrieval.workflows.backup import backup as write

    written = write(gallery_folder(gallery), file)
    if as_json:
        print_json({"file": str(file), "bytes": written})
    else:
        results.print(f"{escape(shown(str(file)))}: {size(written)}.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file made by `retrieval backup`.")],
    gallery: GalleryOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the gallery what it was when the backup was made. A present gallery is moved aside, never deleted."""
    from retrieval.workflows.backup import restore as put_back

    folder = gallery_folder(gallery)
    if folder.is_dir() and any(folder.iterdir()):
        ask(f"Replace the gallery {shown(str(folder))}? It is moved aside, not deleted.", yes)
    aside = put_back(file, folder)
    if as_json:
        print_json({"gallery": str(folder), "moved_aside": None if aside is None else str(aside)})
        return
    results.print(f"Restored {escape(shown(str(folder)))}.")
    if aside is not None:
        note(f"The former gallery is in {shown(str(aside))}.")
