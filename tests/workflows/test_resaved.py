"""Labels of files that were saved again are offered to their new contents."""

from pathlib import Path

from PIL import Image

from retrieval.workflows import labels as workflow

from .support import carried, id_of, index, picture


def detailed(seed: int) -> Image.Image:
    """A picture whose perceptual hash says something."""
    return picture(seed, (160, 120))


def test_labels_of_a_file_that_was_saved_again_are_offered_not_assumed(gallery: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(6):
        detailed(n).save(photos / f"{n}.jpg", quality=95)
    index(gallery, photos)
    workflow.set_label(gallery, [str(photos / "0.jpg")], "apple")
    workflow.set_label(gallery, [str(photos / "1.jpg")], "pear")
    assert workflow.offers(gallery) == []
    detailed(0).save(photos / "0.jpg", quality=80)
    # Another picture in the same place is not the same picture.
    detailed(77).save(photos / "1.jpg", quality=95)
    index(gallery, photos)
    assert "0.jpg" not in carried(gallery)
    (offer,) = workflow.offers(gallery)
    assert (offer.path, offer.labels) == (str(photos / "0.jpg"), ("apple",))
    assert offer.image_id == id_of(gallery, photos / "0.jpg") != offer.old_id
    assert workflow.carry(gallery, [offer]).added == 1
    assert carried(gallery)["0.jpg"] == ("apple",)
    assert workflow.offers(gallery) == []
    workflow.undo(gallery)
    assert workflow.offers(gallery) == [offer]


def test_even_pictures_are_not_offered_to_each_other(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for n, colour in enumerate(((200, 10, 10), (10, 200, 10))):
        Image.new("RGB", (64, 64), colour).save(tmp_path / "photos" / f"{n}.png")
    index(gallery, tmp_path / "photos")
    workflow.set_label(gallery, [str(tmp_path / "photos" / "0.png")], "red")
    (tmp_path / "photos" / "0.png").unlink()
    index(gallery, tmp_path / "photos")
    assert workflow.offers(gallery) == []
