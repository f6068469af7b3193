"""COCO keypoint files: as tools write them, what is wrong with them, and what becomes of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coco_files import NAMES, content, write
from PIL import Image

from posekit.errors import InputError
from posekit.layouts import for_data, for_training, get_layout, layout_of, open_split, open_training
from posekit.layouts.coco import COCO, FEWEST
from posekit.layouts.coco_files import read_coco
from posekit.layouts.converting import convert
from posekit.layouts.mpii import MPII
from posekit.layouts.record import Reading
from posekit.layouts.veri import VERI
from posekit.recipes import get_recipe
from posekit.synthetic.mug import draw_mug


def test_a_file_by_hand(tmp_path: Path) -> None:
    write(tmp_path / "labels.json", content(), tmp_path / "images")
    data = COCO.read(tmp_path / "labels.json", "all")
    assert data.skeleton.keypoints == tuple(NAMES)
    assert data.skeleton.flip_pairs == ((0, 1),) and data.skeleton.limbs == ((0, 1), (1, 2))
    assert data.skeleton.groups == {"rim": (0, 1), "handle": (2,)}
    assert data.names[1] == "mug1.png:101"
    assert data.keypoints[1].tolist() == [[11, 10], [41, 12], [51, 25]]
    assert data.visible.tolist() == [[True, True, n % 2 == 1 or n % 3 > 0] for n in range(6)]
    assert data.hidden[:, 2].tolist() == [n % 2 == 1 for n in range(6)]
    assert data.keypoints[0, 2].tolist() == [0, 0]
    np.testing.assert_allclose(data.center[1], [9 + 22, 8 + 14.5])  # from the box's first pixel to its last
    assert data.box_size[1] == 44 * 1.25 and data.unit[1] == 45
    assert data.box is not None and data.box[1].tolist() == [44 * 1.25, 29 * 1.25]
    assert data.image(3).shape == (60, 80, 3)


def test_the_box_to_cut_out_is_cut_off_at_the_border_as_in_hrnets_code(tmp_path: Path) -> None:
    """HRNet's loader of COCO: from max(0, x) to min(width - 1, that + w - 1); the centre is that of what is left."""
    values = content(3)
    for annotation, box in zip(
        values["annotations"], ([-5, 8, 40, 30], [50, 40, 60, 60], [10, 10, 0.5, 30]), strict=True
    ):
        annotation["bbox"] = box
    data = COCO.read(write(tmp_path / "l.json", values, tmp_path), "all")
    assert data.center[:2].tolist() == [[19.5, 22.5], [64.5, 49.5]]
    assert (data.box[:2] / 1.25).tolist() == [[39, 29], [29, 19]]
    assert (data.box[2] / 1.25).tolist() == [1, 30]


def test_what_may_be_missing_is_derived(tmp_path: Path) -> None:
    values = content(1)
    for name in ("area", "iscrowd", "num_keypoints", "bbox"):
        del values["annotations"][0][name]
    for name in ("width", "height"):
        del values["images"][0][name]
    del values["categories"][0]["skeleton"]
    labels = read_coco(write(tmp_path / "l.json", values))
    assert labels.boxes.tolist() == [[10, 10, 30, 2]] and labels.skeleton.limbs == ()
    (found,) = labels.truth["annotations"]
    assert (found["area"], found["iscrowd"], found["num_keypoints"]) == (60, 0, 2)


def test_an_area_of_0_is_the_boxs(tmp_path: Path) -> None:
    """As COCO Annotator writes it for keypoints; OKS would be 0 for all that isn't exact."""
    values = content(1)
    values["annotations"][0]["area"] = 0
    assert read_coco(write(tmp_path / "l.json", values)).truth["annotations"][0]["area"] == 45 * 30


def test_spaces_around_a_name_hide_no_pair(tmp_path: Path) -> None:
    values = content(1)
    values["categories"][0]["keypoints"] = ["left_rim", "right_rim ", "the  handle"]
    skeleton = read_coco(write(tmp_path / "l.json", values)).skeleton
    assert skeleton.keypoints == ("left_rim", "right_rim", "the handle") and skeleton.flip_pairs == ((0, 1),)


def test_crowds_and_objects_without_keypoints_are_skipped_and_counted(tmp_path: Path) -> None:
    values = content(4)
    values["annotations"][0]["iscrowd"] = 1
    values["annotations"][1] |= {"keypoints": [0] * 9, "num_keypoints": 0}
    del values["annotations"][2]["keypoints"]
    values["categories"].append({"id": 8, "name": "box"})
    values["annotations"].append({"id": 5, "image_id": 1, "category_id": 8, "bbox": [1, 1, 5, 5]})
    labels = read_coco(write(tmp_path / "l.json", values))
    assert labels.names == ["mug3.png:103"]
    assert labels.skipped == {
        "crowds": 1, "objects without keypoints": 2, "objects of categories without keypoints": 1,
    }  # fmt: skip
    assert any("2 objects without keypoints skipped" in note for note in labels.notes)


def test_several_categories_share_a_skeleton(tmp_path: Path) -> None:
    values = content(2)
    values["categories"].append(values["categories"][0] | {"id": 8, "name": "cup"})
    values["annotations"][1]["category_id"] = 8
    assert len(read_coco(write(tmp_path / "l.json", values)).names) == 2
    values["categories"][1]["keypoints"] = ["left_rim", "right_rim", "ear"]
    with pytest.raises(InputError, match="two skeletons: 'mug' and 'cup' differ in 'handle', 'ear'; give each kind"):
        read_coco(write(tmp_path / "l.json", values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.pop("categories"), r"not a COCO file \(no list of categories\)"),
        (lambda it: it.pop("images"), r"not a COCO file \(no list of images\)"),
        (lambda it: it["categories"].clear(), "annotation 100: no category has the id 7"),
        (lambda it: it["categories"][0].pop("keypoints"), "no category that is used has keypoints"),
        (lambda it: it["images"].pop(0), "annotation 100: no image has the id 1"),
        (lambda it: it["images"].append(it["images"][0]), "two images have the id 1; give each its own"),
        (lambda it: it["annotations"].append(it["annotations"][0]), "two annotations have the id 100"),
        (lambda it: it["annotations"][1]["keypoints"].pop(), "annotation 101: keypoints has 8 values where 9 are"),
        (
            lambda it: it["annotations"][1]["keypoints"].__setitem__(2, 3),
            "left_rim has the visibility 3, not 0, 1 or 2",
        ),
        (lambda it: it["annotations"][1]["keypoints"].__setitem__(0, "10"), "something else than numbers"),
        (lambda it: it["annotations"][1]["keypoints"].__setitem__(0, 1e30), "a value beyond"),
        (lambda it: it["annotations"][1]["keypoints"].__setitem__(0, 500), r"left_rim at \(500, 10\) is far outside"),
        (lambda it: it["annotations"][1].__setitem__("bbox", [8, 8, 0, 0]), "a box of 0 × 0 pixels has no size"),
        (lambda it: it["annotations"][1].__setitem__("bbox", [8, 8, 20, 0]), "a box of 20 × 0 pixels has no size"),
        (lambda it: it["annotations"][1].__setitem__("bbox", [8, 8, 20, -5]), "a box of 20 × -5 pixels has no size"),
        (lambda it: it["annotations"][1].__setitem__("bbox", [8, 8]), "bbox has 2 values where 4 are expected"),
        (lambda it: it["annotations"][1].__setitem__("area", -1), "annotation 101: area is -1"),
        (
            lambda it: it["annotations"][1].__setitem__("id", None),
            r"annotation 1 \(from 0\) has no whole number as its",
        ),
        (
            lambda it: it["categories"][0].__setitem__("skeleton", [[0, 1]]),
            "an edge that is not two numbers from 1 to 3",
        ),
        (
            lambda it: it["categories"][0].__setitem__("keypoints", ["a", "a", "b"]),
            "'a' names two keypoints; rename one",
        ),
        (lambda it: it["images"][0].__setitem__("file_name", "../x.png"), "image 1: file_name is not a path below"),
        (lambda it: it["images"][0].__setitem__("file_name", "C:\\x.png"), "image 1: file_name is not a path below"),
        (lambda it: it["images"][0].__setitem__("width", 10**9), "its image 1 has the size"),
        (lambda it: it["images"][1].__setitem__("file_name", "mug0.png"), "1 images are listed twice"),
        (lambda it: it["annotations"].clear(), "no object with labelled keypoints; label some"),
        (lambda it: it["annotations"][1].__setitem__("image_id", [1]), r"annotation 101: no image has the id \[1\]"),
        (lambda it: it["annotations"][1].__setitem__("category_id", {}), "annotation 101: no category has the id {}"),
        (lambda it: it["annotations"][1].__setitem__("iscrowd", "0"), "annotation 101: iscrowd is '0', not 0 or 1"),
        (
            lambda it: [image.__setitem__("unfinished", True) for image in it["images"]],
            r"no object .* \(2 objects in pictures whose labelling isn't finished\); mark their pictures as done",
        ),
        (lambda it: [a.__setitem__("iscrowd", 1) for a in it["annotations"]], r"no object with .* \(2 crowds\)"),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[dict], object], message: str, tmp_path: Path) -> None:
    values = content(2)
    change(values)
    with pytest.raises(InputError, match=message) as error:
        read_coco(write(tmp_path / "labels.json", values))
    assert str(tmp_path / "labels.json") in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"images": 1, "images": 2}', "[" * 100_000])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text(text)
    with pytest.raises(InputError, match=r"l\.json: not (valid JSON|a COCO file)"):
        read_coco(tmp_path / "l.json")


FOLDERS = {  # as the tools write them, by their documentation
    "COCO": ("annotations/person_keypoints_{}2017.json", "{}2017"),
    "COCO, images apart": ("annotations/person_keypoints_{}2017.json", "images/{}2017"),
    "CVAT": ("annotations/person_keypoints_{}.json", "images/{}"),
    "Roboflow": ("{}/_annotations.coco.json", "{}"),
    "plain": ("annotations/{}.json", "images"),
    "beside": ("{}.json", ""),
}


@pytest.mark.parametrize("tool", FOLDERS)
def test_folders_as_tools_write_them(tool: str, tmp_path: Path) -> None:
    labels, images = FOLDERS[tool]
    for split, count in (("train", 4), ("val", 2)):
        word = "valid" if tool == "Roboflow" and split == "val" else split
        values = content(count)
        for number, image in enumerate(values["images"]):
            image["file_name"] = f"{split}{number}.png"
        write(tmp_path / labels.format(word), values, tmp_path / images.format(word))
    if tool == "COCO":  # other tasks' files are there, too
        (tmp_path / "annotations/captions_train2017.json").write_text("{}")
    assert layout_of(tmp_path) is COCO
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        data = COCO.read(tmp_path, split)
        assert len(data) == count and data.image(0).shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("labels", "images", "name"),
    [
        ("result.json", "images", "images/{}"),  # Label Studio
        ("annotations/person_keypoints_default.json", "images/default", "{}"),  # CVAT
        ("annotations/person_keypoints_default.json", "images", "{}"),
        ("labels.json", "", "{}"),
    ],
)
def test_one_file_in_a_folder_is_divided(labels: str, images: str, name: str, tmp_path: Path) -> None:
    values = content(10)
    for image in values["images"]:
        image["file_name"] = name.format(image["file_name"])
    pictures = tmp_path if "/" in name else tmp_path / images
    write(tmp_path / labels, values, pictures)
    train, val = COCO.read(tmp_path, "train"), COCO.read(tmp_path, "val")
    assert (len(train), len(val)) == (8, 2) and not set(train.names) & set(val.names)
    assert train.image(0).shape == (60, 80, 3)


def test_dividing_keeps_an_image_together_and_follows_seed_and_share(tmp_path: Path) -> None:
    values = content(12)
    values["annotations"] += [it | {"id": it["id"] + 1000} for it in values["annotations"]]  # two objects an image
    file = write(tmp_path / "l.json", values, tmp_path)

    def names(split: str, **changes: object) -> set[str]:
        return set(COCO.labels(file, split, Reading(**changes)).names)

    train, val = names("train"), names("val")
    assert len(val) == 4 and len(train) == 20 and train | val == names("all")
    assert not {name.split(":")[0] for name in train} & {name.split(":")[0] for name in val}
    assert names("val") == val and names("test") == val
    assert names("val", validation_seed=1) != val
    assert len(names("val", validation_share=0.5)) == 12
    assert len(names("val", validation_share=0.999)) == 22 and len(names("val", validation_share=0.001)) == 2
    assert "divided by image: 10 train, 2 validate" in COCO.labels(file, "val").notes[-1]


def test_too_few_images_train_and_validate_with_a_warning(tmp_path: Path) -> None:
    file = write(tmp_path / "l.json", content(FEWEST - 1), tmp_path)
    train, val = COCO.read(file, "train"), COCO.read(file, "val")
    assert train.names == val.names and len(train) == FEWEST - 1
    assert train.notes[-1].startswith("warning: ") and "too few to divide" in train.notes[-1]


def test_missing_images_and_files_say_where_was_looked(tmp_path: Path) -> None:
    file = write(tmp_path / "l.json", content(6), tmp_path / "images")
    (tmp_path / "images/mug2.png").unlink()
    with pytest.raises(InputError, match=r"images: 1 of 6 images are missing, the first is mug2\.png .*--images"):
        COCO.read(file, "all")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no COCO file of the train split: looked for .* found an empty folder"):
        COCO.read(tmp_path / "empty", "train")
    with pytest.raises(InputError, match="6 of 6 images are missing"):
        COCO.read(file, "all", tmp_path / "empty")
    for name in ("a", "b"):
        write(tmp_path / f"two/{name}.json", content())
    with pytest.raises(InputError, match=r"two: several label files \(a.json, b.json\); give one of them"):
        COCO.read(tmp_path / "two", "train")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lables.json"
    with pytest.raises(InputError, match=r"lables\.json: cannot read"):
        open_split(for_training(get_recipe("hourglass-tiny"), path), path, "train")
    with pytest.raises(InputError, match=r"lables\.json: cannot read"):
        COCO.check(path)


def test_images_are_not_found_by_a_name_that_two_of_them_have(tmp_path: Path) -> None:
    """cam0/a.png and cam1/a.png aren't both a.png; a/mug0.png is mug0.png, where tools leave folders out."""
    values = content()
    path = write(tmp_path / "l.json", values, tmp_path / "images")
    for n, image in enumerate(values["images"]):
        image["file_name"] = f"cam{n}/mug0.png"
    with pytest.raises(InputError, match="5 of 5 images are missing, the first is cam"):
        COCO.read(write(path, values), "train")
    for n, image in enumerate(values["images"]):
        image["file_name"] = f"a/mug{n}.png"
    assert COCO.read(write(path, values), "all").image(5).shape == (60, 80, 3)


def test_a_recipe_for_another_layout_takes_the_datas_skeleton(tmp_path: Path, tiny_vehicles: Path) -> None:
    file = write(tmp_path / "l.json", content(), tmp_path)
    recipe = for_training(get_recipe("hourglass-tiny"), file)
    assert (recipe.dataset, recipe.skeleton, recipe.validation_threshold) == ("coco", "data", 0.1)
    assert open_split(recipe, file, "train").skeleton.keypoints == tuple(NAMES)
    swapped = replace(recipe, flip_pairs="left_rim:handle")
    assert open_split(swapped, file, "train").skeleton.flip_pairs == ((0, 2),)
    assert open_split(replace(recipe, flip_pairs="none"), file, "train").skeleton.flip_pairs == ()
    for wrong, message in (("left_rim", "'left_rim' is not a pair"), ("left_rim:lid", "no keypoint is called 'lid'")):
        with pytest.raises(InputError, match=message):
            open_split(replace(recipe, flip_pairs=wrong), file, "train")
    same = get_recipe("poseestnet-tiny")
    assert for_training(same, tiny_vehicles) is same and for_training(same, None) is same
    with pytest.raises(InputError, match="flip_pairs=none: VeRi has left/right pairs of its own; leave them out"):
        open_training(replace(same, flip_pairs="none"), tiny_vehicles)


def test_a_skeleton_that_is_not_the_models(tmp_path: Path) -> None:
    file = write(tmp_path / "l.json", content(), tmp_path)
    model = replace(get_recipe("hourglass-tiny"), skeleton=draw_skeleton(tmp_path))
    with pytest.raises(InputError, match=r"without 'left_base', .*and with 'handle'"):
        open_split(for_data(model, file), file, "train")


def draw_skeleton(folder: Path) -> object:
    COCO.draw(folder / "mugs", 2, 2, 0)
    return COCO.read(folder / "mugs", "train").skeleton


def test_drawn_mugs_are_labelled_where_they_are(tmp_path: Path) -> None:
    """The same bytes twice; the colour changes at the body's edge, where the rim's keypoints are."""
    for name in ("a", "b"):
        COCO.draw(tmp_path / name, 6, 3, seed=4)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in ("a", "b")]
    assert files[0] == files[1] and len(files[0]) == 12
    report = COCO.check(tmp_path / "a")
    assert not report.errors
    across = []
    for index in range(40):
        mug = draw_mug(1, 0, index)
        (ax, ay, av), (bx, by, bv) = mug.keypoints[:2]
        if av == bv == 2:
            step = np.array([bx - ax, by - ay]) / np.hypot(bx - ax, by - ay)
            values = [mug.image[tuple(np.round([ay + d * step[1], ax + d * step[0]]).astype(int))] for d in (-6, 6)]
            across.append(np.abs(np.subtract(*np.array(values, float))).max())
    assert len(across) > 20 and np.median(across) > 25


def test_people_to_coco_and_back_lose_nothing_that_both_can_say(tmp_path: Path) -> None:
    MPII.draw(tmp_path / "people", 9, 4, 0)
    convert(tmp_path / "people", "coco", tmp_path / "coco")
    convert(tmp_path / "coco", "mpii", tmp_path / "back")
    for split in ("train", "test"):
        was, now = (MPII.labels(tmp_path / name, split) for name in ("people", "back"))
        assert now.names == was.names and (now.keypoints == was.keypoints).all()
        assert (now.seen[was.visible] == was.seen[was.visible]).all()
        np.testing.assert_allclose(now.center, was.center, rtol=1e-6)
        np.testing.assert_allclose(now.scale, was.scale)
        np.testing.assert_allclose(now.unit, was.unit)
        first = [(tmp_path / name / "images" / was.images[0]).read_bytes() for name in ("people", "back")]
        assert first[0] == first[1]


def test_vehicles_to_coco(tmp_path: Path, tiny_vehicles: Path) -> None:
    said = convert(tiny_vehicles, "coco", tmp_path / "coco")
    assert said[0].startswith("lost: hidden keypoints")
    was, now = VERI.read(tiny_vehicles, "test"), COCO.read(tmp_path / "coco", "test")
    assert [name.rpartition(":")[0] for name in now.names] == was.names
    assert (now.keypoints == was.keypoints).all() and (now.hidden == was.hidden).all() and now.visible.all()
    np.testing.assert_allclose(now.center, was.center - 0.5)  # COCO's boxes are from pixel to pixel
    np.testing.assert_allclose(now.box_size, was.box_size - 1.25)
    assert now.skeleton.keypoints == was.skeleton.keypoints
    assert {frozenset(pair) for pair in now.skeleton.flip_pairs} == {frozenset(it) for it in was.skeleton.flip_pairs}


def test_coco_to_mpii_names_what_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "l.json", content(), tmp_path)
    with pytest.raises(InputError, match="mug: none of its keypoints is one of MPII's joints"):
        convert(tmp_path / "l.json", "mpii", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    values = content()
    values["categories"][0]["keypoints"] = ["left_hip", "right_hip", "nose"]
    write(tmp_path / "l.json", values, tmp_path)
    said = convert(tmp_path / "l.json", "mpii", tmp_path / "out")
    assert "lost: the keypoints nose" in said
    people = MPII.labels(tmp_path / "out", "train")
    hips = people.keypoints[0, [3, 2]]
    np.testing.assert_allclose(people.keypoints[0, 6], hips.mean(axis=0))  # the pelvis
    with pytest.raises(InputError, match="mpii can't be converted to veri; posekit converts"):
        convert(tmp_path / "out", "veri", tmp_path / "again")


@pytest.mark.parametrize("tag", [3, 6])
def test_an_orientation_tag_that_one_layout_follows_is_not_converted(tag: int, tmp_path: Path) -> None:
    """COCO's labels are in upright pixels, MPII's in the stored ones, so labels and images would not fit."""
    values = content(2)
    values["categories"][0]["keypoints"] = ["left_hip", "right_hip", "nose"]
    exif = Image.Exif()
    exif[274] = tag
    for image in values["images"]:
        del image["width"], image["height"]
        image["file_name"] = image["file_name"].replace("png", "jpg")
        noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / image["file_name"], exif=exif)
    path = write(tmp_path / "l.json", values)
    with pytest.raises(InputError, match=r"mug0.jpg: has an orientation tag, .* turn it"):
        convert(path, "mpii", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    convert(path, "coco", tmp_path / "out")
    MPII.draw(tmp_path / "people", 1, 1, 0)
    picture = next((tmp_path / "people" / "images").iterdir())
    Image.open(picture).convert("RGB").save(picture, "JPEG", exif=exif)
    with pytest.raises(InputError, match=r"has an orientation tag, .* remove the tag"):
        convert(tmp_path / "people", "coco", tmp_path / "again")


def test_converting_leaves_other_categories_as_they_are(tmp_path: Path) -> None:
    values = content(2)
    values["categories"].append({"id": 8, "name": "spoon"})
    convert(write(tmp_path / "l.json", values, tmp_path), "coco", tmp_path / "out")
    written = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())["categories"]
    assert written[0]["keypoints"] == NAMES and written[1] == {"id": 8, "name": "spoon"}


def test_check_says_which_keypoints_are_pairs(tmp_path: Path) -> None:
    file = write(tmp_path / "l.json", content(), tmp_path)
    report = COCO.check(file)
    found = {finding.what: finding for finding in report.findings}
    assert found["left/right pairs"].examples == ("left_rim:right_rim",)
    assert found["keypoints without a partner"].examples == ("handle",)
    assert not report.errors
    values = content()
    values["annotations"].append(values["annotations"][0] | {"id": 9})
    write(file, values)
    (tmp_path / "mug3.png").unlink()
    errors = {finding.what: finding.examples for finding in COCO.check(file).errors}
    assert errors == {
        "all: objects labelled twice (the same keypoints)": ("mug0.png:100", "mug0.png:9"),
        "all: missing images": ("mug3.png:103",),
    }


def test_an_image_of_another_size_than_the_labels_say(tmp_path: Path) -> None:
    values = content(2)
    values["images"][0] |= {"width": 160, "height": 120}
    data = COCO.read(write(tmp_path / "l.json", values, tmp_path), "all")
    with pytest.raises(InputError, match="mug0.png: has 80 × 60 pixels, but the labels say 160 × 120; give the images"):
        data.image(0)
    assert data.image(1).shape == (60, 80, 3)
    (error,) = COCO.check(tmp_path / "l.json").errors
    assert (error.what, error.examples) == ("all: wrongly sized images", ("mug0.png:100",))


def test_pictures_whose_labelling_is_not_finished_are_left_out(tmp_path: Path) -> None:
    values = content(3)
    values["images"][1]["unfinished"] = True
    labels = read_coco(write(tmp_path / "l.json", values))
    assert labels.names == ["mug0.png:100", "mug2.png:102"] and sum(labels.skipped.values()) == 1


def test_real_files_load_with_the_pairs_that_a_person_would_write(photos: Path) -> None:
    pairs = {"ap10k": 7, "macaque": 8, "zebra": 2, "fly": 14}
    for name, count in pairs.items():
        (file,) = (photos / "skeletons" / name).glob("*.json")
        data = get_layout("coco").read(file, "all")
        names = data.skeleton.keypoints
        assert len(data.skeleton.flip_pairs) == count
        for a, b in data.skeleton.flip_pairs:
            sides = names[a].replace("left", "#").replace("L", "#"), names[b].replace("right", "#").replace("R", "#")
            others = names[a].replace("right", "#").replace("R", "#"), names[b].replace("left", "#").replace("L", "#")
            assert sides[0] == sides[1] or others[0] == others[1]
        assert data.image(0).ndim == 3
    people = get_layout("coco").read(photos / "coco_people/person_keypoints.json", "all")
    listed = json.loads((photos / "coco_people/person_keypoints.json").read_text())["annotations"]
    assert len(people) == sum(it["num_keypoints"] > 0 and not it["iscrowd"] for it in listed) == 47
    assert int(people.visible.sum()) == sum(it["num_keypoints"] for it in listed if not it["iscrowd"])


def test_a_model_is_tested_on_any_layout_of_its_keypoints(tmp_path: Path, tiny_vehicles: Path) -> None:
    MPII.draw(tmp_path / "people", 4, 3, 0)
    convert(tmp_path / "people", "coco", tmp_path / "coco")
    recipe = for_training(get_recipe("hourglass-tiny"), tmp_path / "coco")
    trained = replace(recipe, skeleton=open_split(recipe, tmp_path / "coco", "train").skeleton)
    assert for_data(trained, tmp_path / "people").dataset == "mpii"
    assert len(open_split(for_data(trained, tmp_path / "people"), tmp_path / "people", "test")) == 3
    own = get_recipe("hourglass-tiny")
    assert len(open_split(for_data(own, tmp_path / "coco"), tmp_path / "coco", "test")) == 3
    assert for_data(own, tmp_path / "nowhere") is own and for_data(own, None) is own
    with pytest.raises(InputError, match="has 36 keypoints .vehicle36., not the 16 of person16: without 'right ankle'"):
        open_split(for_data(own, tiny_vehicles), tiny_vehicles, "test")
