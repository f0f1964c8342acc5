"""A harmless Pillow plugin: ``FLAT`` and three bytes are a picture of one colour, 40 x 30 pixels."""

from PIL import Image, ImageFile


class FlatFile(ImageFile.ImageFile):
    format = "FLAT"

    def _open(self) -> None:
        self.colour = tuple(self.fp.read(7)[4:])
        self._mode, self._size = "RGB", (40, 30)

    def load(self):
        if self._im is None:
            self.im = Image.new("RGB", self.size, self.colour).im
        return super().load()


Image.register_open("FLAT", FlatFile, lambda head: head.startswith(b"FLAT"))
