"""What a model knows of its training, what people are told about predictions, and what validates."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from coco_files import content, write

from posekit.drawing import draw_poses
from posekit.errors import InputError
from posekit.evaluation.compare import image_of
from posekit.evaluation.diagnosis import sure_score
from posekit.inference.boxes import Boxes
from posekit.inference.media import caveats
from posekit.layouts import MPII, open_split, open_training
from posekit.models.checkpoint import read_checkpoint
from posekit.predictions import read_predictions
from posekit.recipes import get_recipe
from posekit.skeletons import PERSON
from posekit.training.loop import run

TINY = get_recipe("hourglass-tiny")


def test_the_sure_score_is_where_half_are_right() -> None:
    scores = np.arange(10) / 10
    assert sure_score(scores, scores >= 0.4) == 0.4
    assert sure_score(scores, np.ones(10, bool)) == 0
    assert sure_score(scores, np.zeros(10, bool)) > 0.9
    rng = np.random.default_rng(0)
    drawn = rng.random(20_000)
    assert sure_score(drawn, rng.random(20_000) < drawn) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("boxes", "changes", "said"),
    [
        (False, {}, ["taken as a whole"]),
        (True, {}, []),
        (True, {"trained_on": "drawings"}, ["drawn pictures only"]),
        (True, {"trained_on": "other"}, []),
        (False, {"trained_on": "drawings", "sure": 0.4}, ["taken as a whole", "drawn pictures only", "below 0.40"]),
    ],
)
def test_people_are_told(boxes: bool, changes: dict, said: list[str]) -> None:
    lines = caveats(replace(TINY, **changes), boxes)
    assert len(lines) == len(said) and all(words in line for words, line in zip(said, lines, strict=True))


def test_unsure_keypoints_are_faded_and_have_no_limbs() -> None:
    image = np.zeros((480, 480, 3), np.uint8)
    points = np.full((1, 16, 2), 400.0)
    points[0, 8], points[0, 9] = (100, 100), (300, 100)  # neck and head top, which a limb joins
    scores = np.zeros((1, 16))
    scores[0, 8] = 0.9
    drawn = draw_poses(image, points, scores, PERSON, 0.5, faded=True, frames=np.array([[0, 0, 480, 480]]))
    assert drawn[100, 100].max() > 150 and 40 < drawn[100, 300].max() < 100 and not drawn[100, 200].any()
    assert drawn[0, 240].any() and drawn[479, 240].any() and not draw_poses(image, points, scores, PERSON, 0.5)[0].any()


def test_no_photograph_trains_and_validates(tmp_path: Path) -> None:
    """Pictures of several people are on one side, whole; without the test split, which isn't read."""
    MPII.draw(tmp_path / "people", 40, 3, 0)
    for path in (tmp_path / "people/annot/valid.h5", *(tmp_path / "people/images").glob("2*")):
        path.unlink()
    recipe = replace(TINY, validation="share", validation_share=0.3, validation_seed=5)
    _, train, validation = open_training(recipe, tmp_path / "people")
    sides = [set(image_of(part.names)) for part in (train, validation)]
    assert not sides[0] & sides[1] and len(train) + len(validation) == 40
    assert len(sides[1]) == round(0.3 * len(sides[0] | sides[1])) and len(validation) > len(sides[1])
    assert validation.split == "validation" and "validate" in train.notes[-1]
    again = open_training(recipe, tmp_path / "people")[2]
    other = open_training(replace(recipe, validation_seed=6), tmp_path / "people")[2]
    assert again.names == validation.names != other.names
    with pytest.raises(InputError, match="looked for annot/valid.h5"):
        open_training(TINY, tmp_path / "people")
    one = tmp_path / "one"
    MPII.draw(one, 1, 1, 0)
    with pytest.raises(InputError, match="one image can't be divided; set validation=split"):
        open_training(recipe, one)


@pytest.mark.slow
def test_a_model_says_what_it_has_seen(tmp_path: Path, tiny_vehicles: Path) -> None:
    recipe = replace(get_recipe("poseestnet-tiny"), epochs=1, validation="share")
    shutil.copytree(tiny_vehicles, tmp_path / "drawn")
    (tmp_path / "drawn/annot/label_test.csv").unlink()  # a share validates, so nobody asks for it
    run(recipe, tmp_path / "drawn", tmp_path / "a", "cpu")
    about = read_checkpoint(tmp_path / "a/best.ckpt")[0]
    assert about.trained_on == "drawings" and about.sure > 0
    assert replace(about, trained_on="unknown", sure=0.0) == recipe
    (tmp_path / "drawn/drawn.json").unlink()  # as if they were photographs
    run(recipe, tmp_path / "drawn", tmp_path / "b", "cpu")
    assert read_checkpoint(tmp_path / "b/best.ckpt")[0].trained_on == "other"
    for start, seen in (("a", "drawings"), ("b", "other")):
        run(recipe, tiny_vehicles, tmp_path / f"from-{start}", "cpu", pretrained=tmp_path / start / "best.ckpt")
        assert read_checkpoint(tmp_path / f"from-{start}/best.ckpt")[0].trained_on == seen


def test_drawn_data_is_marked(tmp_path: Path) -> None:
    MPII.draw(tmp_path / "people", 3, 2, 7)
    assert json.loads((tmp_path / "people/drawn.json").read_text()) == {
        "drawn by": "posekit", "train": 3, "test": 2, "seed": 7,
    }  # fmt: skip
    assert open_split(TINY, tmp_path / "people", "test").drawn
    (tmp_path / "people/drawn.json").unlink()
    assert not open_split(TINY, tmp_path / "people", "test").drawn


@pytest.mark.parametrize("header", ["", "name,x,y,width,height\n", "File_Name, left, top, w, h\n"])
def test_boxes_with_or_without_a_header(header: str, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(header + "a.png,1,2,30,40\n")
    (box,) = Boxes(tmp_path / "b.csv", ["a.png"], []).take("a.png", np.zeros((60, 80, 3), np.uint8))
    assert box.tolist() == [1, 2, 30, 40]


@pytest.mark.parametrize("header", ["name,y,x,width,height\n", "a,b,c,d,e\n"])
def test_a_header_in_another_order_is_refused(header: str, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(header + "a.png,1,2,30,40\n")
    with pytest.raises(
        InputError, match=r"row 1, column 2: .* is not a number; fix the row, or remove it if it is a h"
    ):
        Boxes(tmp_path / "b.csv", ["a.png"], [])


def test_boxes_of_a_coco_file(tmp_path: Path) -> None:
    values = content(3)
    values["annotations"][1]["iscrowd"] = 1
    values["annotations"].append({"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]})
    values["images"][0]["file_name"] = "some/folder/mug0.png"
    boxes = Boxes(write(tmp_path / "l.json", values), ["mug0.png", "mug1.png"], [])
    image = np.zeros((60, 80, 3), np.uint8)
    assert [box.tolist() for box in boxes.take("mug0.png", image)] == [[8, 8, 45, 30], [1, 2, 3, 4]]
    assert not boxes.take("mug1.png", image)
    for change, message in (
        (lambda it: it.pop("images"), "l.json: not a COCO file with boxes"),
        (lambda it: it["annotations"][0].pop("bbox"), "l.json: not a COCO file with boxes"),
        (lambda it: it["annotations"][0].__setitem__("bbox", [1, 2]), "mug0.png: bbox is not left, top, width, height"),
        (lambda it: it["annotations"][0].__setitem__("bbox", [1, 2, 0, 5]), "box 1 of mug0.png: width and height must"),
        (lambda it: it["annotations"].clear(), "none of its 0 boxes is in the images given"),
    ):
        changed = content(1)
        change(changed)
        with pytest.raises(InputError, match=message):
            Boxes(write(tmp_path / "l.json", changed), ["mug0.png"], [])


@pytest.mark.slow
def test_a_coco_file_and_a_csv_of_the_same_boxes_predict_the_same(tmp_path: Path, tiny_models: dict) -> None:
    from posekit.inference.media import predict_media
    from posekit.inference.run_times import Request, load_predictor

    predictor = load_predictor(Request(tiny_models["hourglass"], "cpu", 2))
    write(tmp_path / "l.json", content(2), tmp_path / "p")
    (tmp_path / "b.csv").write_text("mug0.png,8,8,45,30\nmug1.png,9,8,45,30\n")
    tables = []
    for boxes in ("l.json", "b.csv"):
        predict_media(predictor, [tmp_path / "p"], tmp_path / boxes[0], tmp_path / boxes)
        tables.append(read_predictions(tmp_path / boxes[0] / "predictions.csv", 16))
    assert tables[0].names == tables[1].names and (tables[0].keypoints == tables[1].keypoints).all()
    assert cv2.imread(str(tmp_path / "l/mug0.png")).shape[2] == 3
