"""The search as a tool for assistants (Model Context Protocol): Gradio's own server, which needs an extra."""

from importlib import import_module
from importlib.util import find_spec

from retrieval.core.errors import BadValue

PATH = "/gradio_api/mcp"


def keep_files_with_uploads(folder: str) -> None:
    """Put what tools are given beside the uploads: Gradio looked for its folder when it was imported, before ours was
    made, and would both share one with everybody on the machine and refuse what lies in it.

    Args:
        folder: of uploads.
    """
    gradio_mcp = import_module("gradio.mcp")
    gradio_mcp.DEFAULT_TEMP_DIR = folder  # type: ignore[attr-defined,unused-ignore]


def need_mcp() -> None:
    """Raises BadValue: what the tool server needs is not installed."""
    if find_spec("mcp") is None:
        raise BadValue("The tool server needs the package mcp.", "Install it with `pip install 'retrieval[mcp]'`.")
