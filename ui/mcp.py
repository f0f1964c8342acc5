"""The search as a tool for assistants (Model Context Protocol): Gradio's own server, which needs an extra."""

from importlib.util import find_spec

from retrieval.core.errors import BadValue

PATH = "/gradio_api/mcp"


def need_mcp() -> None:
    """Raises BadValue: what the tool server needs is not installed."""
    if find_spec("mcp") is None:
        raise BadValue("The tool server needs the package mcp.", "Install it with `pip install 'retrieval[mcp]'`.")
