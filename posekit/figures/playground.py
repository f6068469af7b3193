"""A playground: drag a keypoint of a crop, change augmentation and codec, and see what the heatmap makes of it."""

from dataclasses import replace

import numpy as np

from posekit.codecs import CENTRES, OFFSETS, Codec
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import Augmentation, Crop, crop
from posekit.drawing import side_colors
from posekit.figures import panel
from posekit.figures.canvas import DENSITY, Panel
from posekit.figures.explorer import SIDE, TOP, page
from posekit.figures.panel import Drag, Shown, Values
from posekit.geometry import invert, sides, transform_points
from posekit.recipes import Recipe

_PLACE: tuple[str, str] = ("x", "y")
_REST = ("sample", "keypoint", "zoom", "turn", "mirror", "put back")  # what changes the keypoint's place in the crop


class Playground:
    """The controls and what they show. Keypoints that were dragged keep their place in the image."""

    def __init__(self, dataset: PoseDataset, recipe: Recipe, row: int = 0) -> None:
        self.dataset, self.recipe = dataset, recipe
        self.names = [f"{k}  {name}" for k, name in enumerate(dataset.skeleton.keypoints)]
        self.before: Values = {}
        self.rows = self._controls(int(row))

    def _controls(self, row: int) -> list[list[Values]]:
        (width, height), codec = sides(self.recipe.input_size), self.recipe.codec
        shown = np.flatnonzero(self.dataset.visible[row])
        chosen = self.names[shown[0] if len(shown) else 0]
        return [
            [
                panel.slider("sample", row + 1, 1, len(self.dataset), of=True),
                panel.choice("keypoint", self.names, chosen), panel.press("put back"),
            ],
            [panel.slider("x", 0, 0, int(width) - 1, 0.1), panel.slider("y", 0, 0, int(height) - 1, 0.1)],
            [panel.slider("zoom", 1, 0.5, 2, 0.05), panel.slider("turn", 0, -180, 180)],
            [
                panel.slider("σ, in cells", codec.sigma, 0.5, 5, 0.1),
                panel.slider("cells", int(sides(codec.heatmap_size)[0]), 6, int(width)),
            ],
            [
                panel.choice("centre", list(CENTRES), codec.centre),
                panel.choice("offset", list(OFFSETS), codec.offset),
                panel.tick("mirror", False),
            ],
        ]  # fmt: skip

    def draw(self, values: Values) -> Shown:
        """Draw the crop with its keypoints beside the heatmap of the chosen one."""
        sample, k = self.dataset[values["sample"] - 1], self.names.index(values["keypoint"])
        if any(values[name] != self.before.get(name) for name in ("sample", "put back")):
            self.places = np.array(sample.keypoints, float)  # (K, 2) in image pixels
        change = Augmentation(1 / values["zoom"], values["turn"], values["mirror"])
        cut = crop(replace(sample, keypoints=self.places), self.recipe, change)
        point = cut.keypoints[k]
        if all(values[name] == self.before.get(name) for name in _REST) and self._moved(values):
            point = np.array([values[name] for name in _PLACE])
            source = self.dataset.skeleton.flip_order[k] if values["mirror"] else k
            self.places[source] = transform_points(invert(cut.matrix), point[None])[0]
        corrected = dict(zip(_PLACE, np.round(np.asarray(point, float), 1).tolist(), strict=True))
        self.before = {**values, **corrected}
        return self._shown(values, cut, k, point, corrected)

    def _moved(self, values: Values) -> bool:
        return any(values[name] != self.before.get(name) for name in _PLACE)

    def codec(self, values: Values) -> Codec:
        """The recipe's codec with the values of the controls; cells are as high as they are wide, or nearly."""
        width, height = sides(self.recipe.input_size)
        cells = values["cells"], max(1, round(values["cells"] * height / width))
        fields = {"sigma": values["σ, in cells"], "centre": values["centre"], "offset": values["offset"]}
        return replace(self.recipe.codec, heatmap_size=cells, **fields)

    def _shown(self, values: Values, cut: Crop, k: int, point: np.ndarray, corrected: Values) -> Shown:
        codec, skeleton = self.codec(values), self.dataset.skeleton
        ((target,),), ((weight,),) = codec.encode(point[None, None], np.ones((1, 1), bool))  # (h, w), a number
        (found,), _ = codec.decode(target[None])  # (2,) in input pixels
        crops, heat, colors = Panel(cut.image, SIDE), Panel(cut.image, SIDE, 0.7), side_colors(skeleton)
        others = np.flatnonzero(cut.visible & (np.arange(len(colors)) != k))
        crops.discs(cut.keypoints[others], [colors[i] for i in others], 3)
        heat.heatmap(target, codec.stride, 0.8)
        for shown in (crops, heat):
            shown.rings(point[None], [colors[k]], 9)
        on_map = bool(target.any())
        if on_map:
            heat.crosses(found[None], [colors[k]], 6)
        size = " × ".join(map(str, target.shape[::-1]))
        titles = "drag the keypoint in the ring", f"its target, {size} cells"
        lines = _numbers(codec, point, found, on_map)
        keys = {"rings": "the keypoint", "crosses": "decoded from the target"}
        title = f"{skeleton.keypoints[k]} · {self.dataset.names[values['sample'] - 1]}"
        picture = page([crops, heat], titles, title, lines, keys, colors)
        return Shown(picture, corrected=corrected, drag=_drag(crops, self.recipe))


def _numbers(codec: Codec, point: np.ndarray, found: np.ndarray, on_map: bool) -> list[str]:
    first = f"keypoint ({point[0]:.1f}, {point[1]:.1f}), one cell is {codec.stride:.2f} input px"
    if not on_map:
        return [first, "off the map: no target"]
    error = float(np.linalg.norm(found - point))
    return [first, f"decoded ({found[0]:.2f}, {found[1]:.2f}): {error:.2f} px = {error / codec.stride:.2f} cells off"]


def _drag(crops: Panel, recipe: Recipe) -> Drag:
    """Where an input pixel of the first panel is on the page."""
    (zoom, _, left), (_, _, top) = ((crops.matrix + ((0, 0, 0.5), (0, 0, 0.5))) / DENSITY).tolist()  # pixels' corners
    width, height = map(int, sides(recipe.input_size))
    return Drag(*_PLACE, zoom, left, TOP + top, (0, 0), (width - 1, height - 1))
