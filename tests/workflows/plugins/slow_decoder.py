"""Makes every picture take as long as RETRIEVAL_TEST_SLOW says, in seconds; a plugin for the decoders."""

import os
import time

from PIL import Image

_load = Image.Image.load


def _slowly(self, *args, **more):
    time.sleep(float(os.environ["RETRIEVAL_TEST_SLOW"]))
    return _load(self, *args, **more)


Image.Image.load = _slowly
