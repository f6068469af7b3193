"""Pictures of run times: how far each is from the checkpoint, and how fast."""

from collections.abc import Mapping

from matplotlib.figure import Figure

DPI = 110
_COLORS = {"fp32": "tab:blue", "fp16": "tab:orange", "bf16": "tab:purple"}


def parity_and_speed(
    differences: Mapping[str, float],
    milliseconds: Mapping[str, float],
    precisions: Mapping[str, str],
    limits: Mapping[str, float],
) -> Figure:
    """A row a run time: left its largest difference of heatmaps (a share of their range), right its time an image.

    precisions: of each run time fp32, fp16 or bf16; limits: of each precision, drawn as a red bar in its rows.
    """
    names = list(differences)
    figure = Figure(figsize=(10, 1.1 + 0.36 * len(names)), layout="constrained", dpi=DPI)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for row, name in enumerate(names):
        color = _COLORS[precisions[name]]
        value, limit = differences[name], limits[precisions[name]]
        left.plot([limit, limit], [row - 0.4, row + 0.4], color="tab:red", linewidth=2.5)
        left.plot(max(value, 1e-9), row, "o", color=color, markersize=8)
        side = {"xytext": (-8, 0), "ha": "right"} if limit / 100 < value < limit else {"xytext": (8, 0)}
        text = f"{value:.0e}" if value else "no difference at all"
        left.annotate(text, (max(value, 1e-9), row), textcoords="offset points", va="center", fontsize=8, **side)
        bar = right.barh(row, milliseconds[name], height=0.6, color=color)
        right.bar_label(bar, fmt="%.1f", padding=4, fontsize=8)
    left.set_yticks(range(len(names)), names)
    left.set(xscale="log", xlim=(3e-10, 1), xlabel="largest difference / range of the heatmaps; red: the limit")
    left.invert_yaxis()
    right.set(xlabel="ms an image, decoding included")
    right.margins(x=0.14)
    for axes in (left, right):
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    return figure
