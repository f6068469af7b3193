"""Chinese letters in figures: DejaVu Sans, Matplotlib's own font, has none, so a font of the system helps out."""

from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontProperties, findSystemFonts, fontManager

FILES = (
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansSC-Regular.otf", "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "simhei.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc",
    "STHeiti Light.ttc", "Arial Unicode.ttf",
)  # fmt: skip


@cache
def chinese_font() -> Path | None:
    """Find the first of `FILES` among the system's fonts (Debian: fonts-noto-cjk or fonts-wqy-microhei)."""
    found = {Path(file).name.lower(): Path(file) for file in findSystemFonts()}
    return next((found[name.lower()] for name in FILES if name.lower() in found), None)


def font_file(text: str, bold: bool = False) -> Path:
    """Return the font for a line of text: DejaVu Sans, or for Chinese the system's font if it has one."""
    chinese = chinese_font() if any(ord(letter) >= 0x2E80 for letter in text) else None
    own = Path(matplotlib.get_data_path(), "fonts/ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return chinese or own


def use_chinese_font() -> None:
    """Let Matplotlib take the letters that its own font lacks from the system's Chinese font."""
    if file := chinese_font():
        fontManager.addfont(file)
        matplotlib.rcParams["font.family"] = ["sans-serif", FontProperties(fname=file).get_name()]
