"""A worker that was taken over: it answers a job with whatever the file's content says, as a raw frame."""

import os
import sys

from PIL import Image, ImageFile


class LyingFile(ImageFile.ImageFile):
    format = "LYING"

    def _open(self) -> None:
        content = self.fp.read()
        # The frame object on the way up holds the pipe to the pool.
        frame = sys._getframe()
        while "pool" not in frame.f_locals:
            frame = frame.f_back
        frame.f_locals["pool"].outlet.write(content[5:])
        os._exit(0)


Image.register_open("LYING", LyingFile, lambda head: head.startswith(b"LYING"))
