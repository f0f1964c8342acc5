"""What a page is to the shell."""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr
from fastapi import APIRouter

from ui.shell.site import Site
from ui.words import Words


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        name: gives what the navigation calls it.
        address: below the application's own; empty for the first page. Letters and hyphens.
        build: makes its components and events; called once a language, within the Blocks of the application.
        needs_gallery: it works on the gallery's folder, and is left out where only searching is offered.
        tells_paths: it shows where files lie on this machine, and is left out where nobody may see that.
        routes: gives what is served beside the page, below its address.
    """

    name: Callable[[Words], str]
    address: str
    build: Callable[[Site, Words, gr.Blocks], object]
    needs_gallery: bool = True
    tells_paths: bool = True
    routes: Callable[[Site], APIRouter] | None = None
