"""What a worker imports, and how it finds the package."""

import os
import subprocess
import sys
import textwrap

import pytest

from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images import process as process_module
from retrieval.images.jobs import DecodeBytes, MakeView
from retrieval.images.pool import DecodePool

from .conftest import draw_photo, encode

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

SPEC = Preprocessing(input_size=48)
QUICK = Limits(seconds=1.0)


HEAVY = ("torch", "torchvision", "timm", "faiss", "sqlalchemy", "gradio", "fastapi", "lightning_fabric")


def test_workers_import_nothing_heavy(plugins, tmp_path, monkeypatch):
    """Seen from inside one, by a plugin, after it has decoded and made views."""
    (tmp_path / "tell_modules.py").write_text(
        textwrap.dedent(
            """
            import sys
            from PIL import Image, ImageFile

            class NamesFile(ImageFile.ImageFile):
                format = "NAMES"

                def _open(self):
                    name = self.fp.read()[5:].decode()
                    raise OSError("loaded" if name in sys.modules else "absent")

            Image.register_open("NAMES", NamesFile, lambda head: head.startswith(b"NAMES"))
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with DecodePool(1, QUICK, ("tell_modules",)) as pool:
        assert pool.run(DecodeBytes(encode(draw_photo(40, 30), "JPEG"), SPEC)).error is None
        assert pool.run(MakeView(data=encode(draw_photo(40, 30), "AVIF", speed=10))).error is None

        def state(name):
            return pool.run(DecodeBytes(b"NAMES" + name.encode(), SPEC)).error.message

        assert "loaded" in state("PIL.Image")
        assert "loaded" in state("retrieval.images.decode")
        for name in HEAVY:
            assert "absent" in state(name), name


def test_workers_find_the_package_however_the_parent_found_it(tmp_path):
    """By an entry of ``sys.path`` that no variable and no installation knows, from a folder full of traps."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(process_module.retrieval.__file__)))
    for trap in ("json.py", "random.py", "numpy.py", "retrieval.py", "struct.py"):
        (tmp_path / trap).write_text("raise SystemExit('a file of the current folder was imported')")
    program = subprocess.run(
        [
            sys.executable, "-P", "-c",
            f"import sys; sys.path.insert(0, {root!r}); sys.path.append('')\n"
            "from retrieval.core.preprocessing import Preprocessing\n"
            "from retrieval.core.settings import Limits\n"
            "from retrieval.images.jobs import DecodeBytes\n"
            "from retrieval.images.pool import DecodePool\n"
            "with DecodePool(1, Limits()) as pool: print(pool.run(DecodeBytes(b'', Preprocessing())).error.reason)",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )  # fmt: skip
    assert (program.stdout, program.returncode) == ("empty\n", 0), program.stderr


def test_importing_the_package_starts_nothing():
    """The pool's own side is as light as the workers."""
    code = "import sys, retrieval.images.pool, retrieval.images.scan; "
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=places)
    assert out.stdout == "[]\n"
