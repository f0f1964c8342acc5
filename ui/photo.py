"""The place for the query photo: Gradio's image component, except that nothing here ever decodes the file."""

from abc import ABCMeta
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.data_classes import ImageData


class _WithoutStub(ComponentMeta):
    """Makes a component class and nothing else.

    Gradio's own metaclass writes a ``.pyi`` file beside the source of each new class when it is imported; an installed
    package must not be written to.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> "_WithoutStub":
        return ABCMeta.__new__(cls, name, bases, attributes)


class PhotoInput(gr.Image, metaclass=_WithoutStub):
    """``gr.Image`` that hands on the uploaded file as it is.

    Gradio's own class opens the file with Pillow in the server's process, whatever ``type`` is; a hostile file must be
    opened only in a process that can be killed.
    """

    is_template = True
    """Tells Gradio to show it as the class it derives from."""

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Path of the uploaded file."""
        if payload is None or payload.path is None:
            return None
        # Gradio has checked this too; a path that leads elsewhere would make the page read any file of the machine.
        self._refuse_others(payload.path)
        return payload.path

    def postprocess(self, value: Any) -> None:
        """The page only ever clears it."""
        if value is not None:
            raise ValueError("A photo comes from the browser and is never sent to it.")

    async def async_move_resource_to_block_cache(self, url_or_file_path: Any) -> str | None:
        """Keep the upload, but never fetch an address for whoever asks."""
        if str(url_or_file_path).lower().startswith(("http:", "https:")):
            raise gr.Error("Send a file; addresses are not fetched.", print_exception=False)
        self._refuse_others(str(url_or_file_path))
        kept: str | None = await super().async_move_resource_to_block_cache(url_or_file_path)
        return kept

    def _refuse_others(self, path: str) -> None:
        if not Path(path).resolve().is_relative_to(Path(self.GRADIO_CACHE).resolve()):
            raise gr.Error("Send a file that was uploaded.", print_exception=False)
