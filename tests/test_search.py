"""Finding the object without a box: with a network that is sure exactly where a square disc fills its input."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from posekit.errors import InputError
from posekit.inference.media import predict_media
from posekit.inference.predictors import Predictor
from posekit.inference.search import Search
from posekit.palette import FRAME, rgb
from posekit.predictions import read_predictions
from posekit.recipes import get_recipe
from posekit.skeletons import make_skeleton

RECIPE = get_recipe("hourglass-tiny")  # 64 pixels in, 16 cells out
CORNERS = make_skeleton("square", ["top_left", "top_right", "bottom_left", "bottom_right"])


def find_corners(images: np.ndarray) -> np.ndarray:
    """Heatmaps (N, 4, 16, 16) of a bright square's corners, the higher the better it fits the crop."""
    maps = np.zeros((len(images), 4, 16, 16), np.float32)
    for image, found in zip(images, maps, strict=True):
        ys, xs = np.nonzero(image[0] > 0.7)
        if len(xs):
            left, right, top, bottom = xs.min(), xs.max(), ys.min(), ys.max()
            whole = left > 0 and top > 0 and right < 63 and bottom < 63
            fit = (right - left) / 64 * (1 if whole else 0.3)
            for k, (x, y) in enumerate(((left, top), (right, top), (left, bottom), (right, bottom))):
                found[k, min(15, y // 4), min(15, x // 4)] = 0.05 + fit
    return maps


PREDICTOR = Predictor(RECIPE, CORNERS, find_corners, 16)


def picture(x: int, y: int, side: int, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    image = np.full((size[1], size[0], 3), 60, np.uint8)
    image[y : y + side, x : x + side] = 255
    return image


@pytest.mark.parametrize(
    ("x", "y", "side"), [(10, 10, 40), (250, 150, 60), (140, 100, 30), (60, 40, 150), (0, 200, 40), (20, 0, 238)]
)
def test_the_object_is_found_at_any_size_and_place(x: int, y: int, side: int) -> None:
    (box,) = Search(PREDICTOR).take("a.png", picture(x, y, side))
    center, wanted = box[:2] + box[2:] / 2, np.array([x, y]) + side / 2
    assert np.abs(center - wanted).max() < 0.25 * side
    assert 0.7 * side < box[2:].max() < 1.7 * side


def test_in_a_film_it_is_followed_and_found_again_when_lost() -> None:
    search, looks = Search(PREDICTOR), []
    squares = search._squares
    search._squares = lambda image: looks.append(1) or squares(image)
    for frame in range(8):
        (box,) = search.take(f"film.mp4:{frame}", picture(20 + 6 * frame, 60, 60))
        assert np.abs(box[:2] + box[2:] / 2 - (50 + 6 * frame, 90)).max() < 15
    assert len(looks) == 1
    (box,) = search.take("film.mp4:8", picture(240, 160, 60))  # a cut
    assert len(looks) == 2 and np.abs(box[:2] + box[2:] / 2 - (270, 190)).max() < 15
    search.take("other.mp4:0", picture(20, 60, 60))
    assert len(looks) == 3  # another film begins anew


def test_the_command_draws_the_box_it_found(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture(100, 80, 60))
    predict_media(PREDICTOR, [tmp_path / "a.png"], tmp_path / "out", search=True)
    (points,) = read_predictions(tmp_path / "out/predictions.csv", 4).keypoints
    assert np.abs(points - [[100, 80], [159, 80], [100, 139], [159, 139]]).max() < 6
    assert "--search: one object is looked for" in capsys.readouterr().out
    drawn = cv2.imread(str(tmp_path / "out/a.png"))  # twice as large
    yellow = np.argwhere((np.abs(drawn.astype(int) - rgb(FRAME)[::-1]) < 30).all(axis=2))[:, ::-1] / 2
    assert len(yellow) and (yellow.min(axis=0) < (100, 80)).all() and (yellow.max(axis=0) > (155, 135)).all()
    assert yellow.min() > 20  # a box, not the whole picture
    with pytest.raises(InputError):
        predict_media(PREDICTOR, [tmp_path / "none.png"], tmp_path / "again", search=True)
