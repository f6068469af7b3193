"""Flip pairs that a person would write, from names as people write them; none where that is unsure."""

import dataclasses
import json

import pytest

from posekit.errors import InputError
from posekit.recipes import get_recipe
from posekit.settings import from_json, to_json
from posekit.skeletons import (
    SKELETONS,
    Skeleton,
    find_flip_pairs,
    make_skeleton,
    parse_flip_pairs,
    skeleton_from,
)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_published_skeletons_have_the_pairs_that_their_names_show(skeleton: Skeleton) -> None:
    assert {frozenset(pair) for pair in find_flip_pairs(skeleton.keypoints)} == set(map(frozenset, skeleton.flip_pairs))


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ("left_eye right_eye nose", "left_eye:right_eye"),
        ("eye_left eye-right", ""),  # not written alike
        ("L_paw R_paw", "L_paw:R_paw"),
        ("eyeL eyeR wingR wingL", "eyeL:eyeR wingR:wingL"),
        ("forelegL1 forelegR1 forelegL2 forelegR2", "forelegL1:forelegR1 forelegL2:forelegR2"),
        ("leftEar rightEar LEFT_HIP RIGHT_HIP", "leftEar:rightEar LEFT_HIP:RIGHT_HIP"),
        ("Left.Knee Right.Knee", "Left.Knee:Right.Knee"),
        ("near_fore off_fore near_hind off_hind", "near_fore:off_fore near_hind:off_hind"),
        ("F_L F_R R_L R_R", "F_L:F_R R_L:R_R"),  # front and rear
        ("l_1 r_1 c_1", "l_1:r_1"),
        ("左眼 右眼 鼻", "左眼:右眼"),
        ("a b c l m r z", ""),
        ("p_a p_l p_r p_z", ""),
        ("lip rip lear rear", ""),
        ("left_left right_left left_right", ""),
        ("right_only nose", ""),
        ("upper lower front back", ""),
    ],
)  # fmt: skip
def test_pairs_from_names(names: str, pairs: str) -> None:
    keypoints = names.split()
    found = {frozenset((keypoints[a], keypoints[b])) for a, b in find_flip_pairs(keypoints)}
    assert found == {frozenset(pair.split(":")) for pair in pairs.split()}


def test_groups_are_the_pairs_and_the_rest() -> None:
    skeleton = make_skeleton("zebra", ["snout", "forelegL1", "forelegR1", "tail_tip"])
    assert skeleton.groups == {"snout": (0,), "foreleg1": (1, 2), "tail_tip": (3,)}
    assert make_skeleton("x", ["eye", "left_eye", "right_eye"]).groups == {"eye": (0,), "left_eye, right_eye": (1, 2)}


def test_pairs_written_out() -> None:
    assert parse_flip_pairs(" b:a, c:d", ["a", "b", "c", "d"]) == ((0, 1), (2, 3))
    for text, message in (
        ("a", "is not a pair"),
        ("a:x", "no keypoint is called 'x'"),
        ("a:b,b:c", "'b' is in two pairs"),
    ):
        with pytest.raises(InputError, match=message):
            parse_flip_pairs(text, ["a", "b", "c"])


def test_a_recipe_carries_a_skeleton_whole() -> None:
    skeleton = make_skeleton("mug", ["left_rim", "right_rim", "handle"], [(0, 1), (1, 2)])
    recipe = dataclasses.replace(get_recipe("hourglass-tiny"), dataset="coco", skeleton=skeleton)
    assert from_json(to_json(recipe), "model") == recipe
    assert json.loads(to_json(get_recipe("hourglass-tiny")))["skeleton"] == "person16"  # as older versions read it


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3}, {"keypoints": []}, {"keypoints": ["a", "a", "b"]}, {"keypoints": "abc"}, {"limbs": [[0, 9]]},
        {"flip_pairs": [[0, 0]]}, {"flip_pairs": [[0, 1], [1, 2]]}, {"groups": {"x": [7]}}, {"groups": []},
        {"limbs": 5}, {"segments": [[0, 1]]},
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_skeleton_is_refused(change: dict) -> None:
    good = dataclasses.asdict(make_skeleton("mug", ["left_rim", "right_rim", "handle"]))
    assert skeleton_from(good).keypoints == ("left_rim", "right_rim", "handle")
    with pytest.raises(InputError, match="skeleton must be the name of one, data, or a whole skeleton"):
        skeleton_from(good | change)


def test_a_group_of_two_names_is_called_by_both() -> None:
    """A stated pair of nose and tail is no column called nose; left and right have nothing else in common."""
    names = ["nose", "tail", "left", "right", "left_eye", "right_eye"]
    groups = make_skeleton("dog", names, flip_pairs=[(0, 1), (2, 3), (4, 5)]).groups
    assert groups == {"nose, tail": (0, 1), "left, right": (2, 3), "eye": (4, 5)}
