"""Look for photographs in a site's folder: python tests/check_photographs.py FOLDER, with POSEKIT_PHOTOS set.

Each picture of the site is compared with each photograph by local features, so that a photograph is found in a figure
too, at any size.
"""

import base64
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

ALIKE = 12  # so many matches that one similarity transform explains make it the same picture


def _features(picture: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 2) and descriptors (N, 128) of the strongest local features."""
    points, descriptors = cv2.SIFT_create(nfeatures=most).detectAndCompute(picture, None)
    places = np.float32([point.pt for point in points]).reshape(-1, 2)
    return places, np.empty((0, 128), np.float32) if descriptors is None else descriptors


class Photographs:
    """Local features of all photographs below a folder, to be found in other pictures."""

    def __init__(self, folder: Path, most: int = 150) -> None:
        self.paths = sorted(folder.rglob("*.jpg"))
        found = [_features(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), most) for path in self.paths]
        self.owner = np.repeat(np.arange(len(found)), [len(places) for places, _ in found])  # (N,) photograph
        self.places = np.concatenate([places for places, _ in found])  # (N, 2)
        self.matcher = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 4}, {"checks": 32})
        self.matcher.add([np.concatenate([descriptors for _, descriptors in found])])
        self.matcher.train()

    def shown_in(self, picture: np.ndarray) -> Path | None:
        """The photograph of which the picture shows most, if it shows one."""
        places, descriptors = _features(picture, 4000)
        pairs = self.matcher.knnMatch(descriptors, 2) if len(descriptors) else []
        # The second nearest is often of the same photograph, so only a match as good elsewhere makes one doubtful.
        clear = [
            first for first, second in pairs
            if first.distance < 0.8 * second.distance or self.owner[first.trainIdx] == self.owner[second.trainIdx]
        ]  # fmt: skip
        for photograph, count in Counter(self.owner[match.trainIdx] for match in clear).most_common(5):
            if count < ALIKE:
                return None
            mine = [match for match in clear if self.owner[match.trainIdx] == photograph]
            here = np.float32([places[match.queryIdx] for match in mine])
            there = self.places[[match.trainIdx for match in mine]]
            _, inliers = cv2.estimateAffinePartial2D(there, here, ransacReprojThreshold=4)
            if inliers is not None and inliers.sum() >= ALIKE:
                return self.paths[photograph]
        return None


def pictures(site: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Where each picture of the site is, and its gray values: image files, and pictures inside of pages."""
    for path in sorted(site.rglob("*")):
        if path.suffix in (".png", ".jpg", ".jpeg", ".gif", ".webp"):
            yield str(path), np.frombuffer(path.read_bytes(), np.uint8)
        elif path.suffix in (".html", ".svg", ".js", ".css"):
            for text in re.findall(r"data:image/(?:png|jpe?g|gif|webp);base64,([\w+/=]+)", path.read_text("utf-8")):
                yield str(path), np.frombuffer(base64.b64decode(text), np.uint8)


def photographs_in(site: Path, photographs: Photographs) -> tuple[int, list[str]]:
    """How many pictures the site has, and a line for each that shows a photograph."""
    found, count = [], 0
    for place, data in pictures(site):
        picture, count = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), count + 1
        if picture is not None and (shown := photographs.shown_in(picture)):
            found.append(f"{place}: shows the photograph {shown.name}")
    return count, found


if __name__ == "__main__":
    number, lines = photographs_in(Path(sys.argv[1]), Photographs(Path(os.environ["POSEKIT_PHOTOS"])))
    print("\n".join(lines) or f"{sys.argv[1]}: no photograph in {number} pictures")
    sys.exit(bool(lines) or not number)
