"""The colours of all pictures, which colour-blind people can tell apart, too; a test simulates that.

They are Okabe and Ito's (Color Universal Design, 2008), and a brown. Right and wrong also have shapes of their own.
"""

ORANGE, SKY, GREEN, YELLOW = "#e69f00", "#56b4e9", "#009e73", "#f0e442"
BLUE, VERMILLION, PURPLE, BLACK = "#0072b2", "#d55e00", "#cc79a7", "#000000"
BROWN = "#6b4226"
INK, GREY, PALE = "#1c2330", "#8a94a0", "#d9dee4"  # text and lines, what is secondary, areas

LEFT, RIGHT, MIDDLE = ORANGE, SKY, GREEN  # keypoints on the object's left, on its right, and between
ACROSS = "#b8bec6"  # limbs that join left and right
FRAME = YELLOW  # of a box in a photograph

GOOD, BAD = SKY, VERMILLION  # right and wrong: a disc and a cross, so that the colour isn't needed
GOOD_LOOK, BAD_LOOK = {"color": GOOD, "marker": "o"}, {"color": BAD, "marker": "X"}
LIMIT = VERMILLION  # lines that mark a limit or a threshold

SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, BLACK, BROWN)  # one after the other, on white
POINTS = (ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE, YELLOW)  # keypoints without sides, on photographs
ALARM, LINK = "#a33a00", "#0b5c8f"  # text on white: what failed, links


def series(number: int) -> str:
    """The colour of a curve or bar: one of SERIES, from the start again after the last."""
    return SERIES[number % len(SERIES)]


def rgb(color: str) -> tuple[int, int, int]:
    """The red, green and blue, 0 to 255, of #rrggbb."""
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
