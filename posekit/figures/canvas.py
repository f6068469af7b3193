"""Draw panels, markers, heatmaps and text directly into pixels, fast enough to follow a slider.

Positions on a canvas are in page pixels. The canvas has DENSITY times as many pixels, so it is sharp on dense screens.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from posekit import palette
from posekit.figures.fonts import font_file
from posekit.geometry import transform_points

DENSITY = 1.5
Color = tuple[int, int, int]  # RGB
INK, QUIET, PAPER, MISSING = (28, 35, 48), (91, 102, 117), (255, 255, 255), (232, 236, 241)
BOX = palette.rgb(palette.LIMIT)
_BITS = 4  # OpenCV draws at 1/16 pixel


class Panel:
    """A square view of an image, to draw on in the image's own coordinates."""

    def __init__(
        self, image: np.ndarray, side: int, grey: float = 0.0, extent: tuple[float, float, float, float] | None = None
    ) -> None:
        """Scale the image (H, W, 3) uint8 RGB to `side` page pixels.

        grey: 0 to 1, how strongly the image is greyed and dimmed; extent: left, top, right, bottom of the area shown,
        in image pixels; it must contain the image.
        """
        height, width = image.shape[:2]
        left, top, right, bottom = extent or (-0.5, -0.5, width - 0.5, height - 0.5)
        self.side = round(side * DENSITY)
        zoom = self.side / max(right - left, bottom - top)
        x, y = (self.side - np.array([left + right, top + bottom]) * zoom) / 2 - 0.5  # the first pixel's place
        self.matrix = np.array([[zoom, 0, x], [0, zoom, y]])
        if grey:
            dull = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            image = cv2.addWeighted(image, 1 - grey, dull, 0.8 * grey, 0)
        size = min(self.side, round(width * zoom)), min(self.side, round(height * zoom))
        scaled = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA)
        column, row = (max(0, round(v - zoom / 2 + 0.5)) for v in (x, y))
        scaled = scaled[: self.side - row, : self.side - column]
        right, below = self.side - column - scaled.shape[1], self.side - row - scaled.shape[0]
        self.pixels = cv2.copyMakeBorder(scaled, row, below, column, right, cv2.BORDER_CONSTANT, value=MISSING)

    def heatmap(self, heatmap: np.ndarray, stride: float, strength: float) -> None:
        """Overlay a heatmap (h, w), scaled to its highest value; cell (i, j) is at pixel (i, j) * stride."""
        value = np.clip(heatmap / max(float(heatmap.max()), 1e-9), 0, 1).astype(np.float32)
        color = cv2.applyColorMap((255 * value).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        alpha = strength * value[..., None] ** 0.7
        layer = np.concatenate([color * alpha, 255 * (1 - alpha)], axis=-1).astype(np.uint8)  # to add, to keep
        matrix = self.matrix.copy()
        matrix[:, :2] *= stride
        size = (self.side, self.side)
        layer = cv2.warpAffine(layer, matrix, size, flags=cv2.INTER_NEAREST, borderValue=(0, 0, 0, 255))
        left = cv2.cvtColor(layer[..., 3], cv2.COLOR_GRAY2RGB)
        self.pixels = cv2.add(cv2.multiply(self.pixels, left, scale=1 / 255), cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB))

    def lines(
        self, points: np.ndarray, pairs: Sequence[tuple[int, int]], colors: Sequence[Color], width: float
    ) -> None:
        """Draw lines between pairs of points (K, 2), each in the colour of its first point."""
        ends = self._fixed(points)
        for a, b in pairs:
            cv2.line(self.pixels, ends[a], ends[b], colors[a], round(width * DENSITY), cv2.LINE_AA, _BITS)

    def discs(self, points: np.ndarray, colors: Sequence[Color], radius: float) -> None:
        """Draw a filled disc with a white rim at each point (M, 2)."""
        for center, color in zip(self._fixed(points), colors, strict=True):
            self._circle(center, radius + 1, PAPER, -1)
            self._circle(center, radius, color, -1)

    def rings(self, points: np.ndarray, colors: Sequence[Color], radius: float) -> None:
        """Draw a ring with white rims around each point (M, 2)."""
        rim, line = (3.4, 1.8) if radius > 6 else (2.8, 1.4)
        for center, color in zip(self._fixed(points), colors, strict=True):
            self._circle(center, radius, PAPER, rim)
            self._circle(center, radius, color, line)

    def crosses(self, points: np.ndarray, colors: Sequence[Color], arm: float) -> None:
        """Draw a cross with a white rim at each point (M, 2)."""
        reach = round(arm * DENSITY * 2**_BITS)
        for (x, y), color in zip(self._fixed(points), colors, strict=True):
            for shade, width in ((PAPER, 4.5), (color, 2.5)):
                for rise in (-reach, reach):
                    ends = (x - reach, y - rise), (x + reach, y + rise)
                    cv2.line(self.pixels, *ends, shade, round(width * DENSITY), cv2.LINE_AA, _BITS)

    def _circle(self, center: tuple[int, int], radius: float, color: Color, width: float) -> None:
        thick = round(width * DENSITY) if width > 0 else -1
        cv2.circle(self.pixels, center, round(radius * DENSITY * 2**_BITS), color, thick, cv2.LINE_AA, _BITS)

    def _fixed(self, points: np.ndarray) -> list[tuple[int, int]]:
        """Convert image points (M, 2) to OpenCV's fixed-point integers: 1/16 of the panel's pixels."""
        return np.round(transform_points(self.matrix, np.asarray(points)) * 2**_BITS).astype(int).tolist()


class Canvas:
    """A white page, `width` × `height` page pixels, for panels and text."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels = np.full((round(height * DENSITY), round(width * DENSITY), 3), 255, np.uint8)

    def place(self, pixels: np.ndarray, x: float, y: float) -> None:
        """Paste pixels with their top left corner at (x, y); they are clipped at the right edge."""
        left, top = round(x * DENSITY), round(y * DENSITY)
        free = self.pixels[top : top + len(pixels), left : left + pixels.shape[1]]
        free[:] = pixels[:, : free.shape[1]]

    def text(self, x: float, y: float, text: str, size: int = 13, color: Color = INK, bold: bool = False) -> float:
        """Write text that starts at (x, y) on its baseline; return the x where it ends."""
        pixels, ascent = _written(text, round(size * DENSITY), color, bold)
        self.place(pixels, x, y - ascent / DENSITY)
        return x + pixels.shape[1] / DENSITY

    def key(self, x: float, y: float, kind: str, color: Color, text: str) -> float:
        """Draw a legend entry, a symbol ("discs", "rings" or "crosses") and its meaning; return the x of its end."""
        self.place(_symbol(kind, color), x, y - 14)
        return self.text(x + 22, y, text, 12, QUIET)

    def encoded(self, kind: str) -> bytes:
        """Encode the page as png or jpeg; a jpeg is smaller and several times faster to make."""
        file, options = BytesIO(), {"png": {"compress_level": 1}, "jpeg": {"quality": 90, "subsampling": 0}}
        Image.fromarray(self.pixels).save(file, kind, **options[kind])
        return file.getvalue()


@cache
def _symbol(kind: str, color: Color) -> np.ndarray:
    panel = Panel(np.full((18, 18, 3), PAPER, np.uint8), 18)
    getattr(panel, kind)(np.array([[8.5, 8.5]]), [color], 4.5)
    return panel.pixels


@lru_cache(256)
def _written(text: str, size: int, color: Color, bold: bool) -> tuple[np.ndarray, int]:
    """Render a line of text on white; also return the baseline's distance from the top."""
    font = ImageFont.truetype(font_file(text, bold), size)
    ascent, descent = font.getmetrics()
    image = Image.new("RGB", (max(1, round(font.getlength(text))), ascent + descent), PAPER)
    ImageDraw.Draw(image).text((0, ascent), text, color, font, anchor="ls")
    return np.asarray(image), ascent
