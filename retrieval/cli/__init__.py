"""The command line. Importing it is cheap: torch, FAISS, the database and Gradio are imported inside commands."""

import gc
import os
import sys

_COLLECT_AFTER = (10_000, 20, 50)
"""With its own thresholds Python looks through torch and timm again and again while it imports them: 0.6 of 3.6 seconds
of processor time. These need 2 % more memory."""


def main() -> None:
    """Run the command ``retrieval`` and leave with its exit code; see ``core.errors`` for the codes."""
    from retrieval.cli.app import app
    from retrieval.cli.say import error_line
    from retrieval.core.errors import RetrievalError

    gc.set_threshold(*_COLLECT_AFTER)
    # A file name that the terminal's encoding lacks must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except RetrievalError as error:
        error_line(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader, such as `head`, has had enough. Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        # Permissions, a vanished drive: the system's words and the file it was about.
        place = f"{error.filename}: " if error.filename else ""
        error_line(RetrievalError(f"{place}{error.strerror or error}.", "Check the path and its permissions."))
        sys.exit(RetrievalError.exit_code)
