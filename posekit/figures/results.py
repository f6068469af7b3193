"""Pictures of trainings and predictions: tables in, matplotlib figures out."""

import pandas as pd
from matplotlib.figure import Figure


def training_curves(log: pd.DataFrame) -> Figure:
    """Loss and learning rate by step, and the validation's PCK where it was measured; log as in a run's log.csv."""
    figure = Figure(figsize=(10, 3.6), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    left.semilogy(log["step"], log["loss"], color="tab:blue")
    left.set(xlabel="step", ylabel="training loss", title="Loss and learning rate")
    left.grid(alpha=0.3)
    rate = left.twinx()
    rate.plot(log["step"], log["learning_rate"], color="tab:grey", linewidth=1, linestyle="--")
    rate.set_ylabel("learning rate (dashed)", color="tab:grey")
    valid = log.dropna(subset=["valid_pck"])
    right.plot(valid["epoch"], valid["valid_pck"], marker="o", color="tab:orange")
    right.set(xlabel="epoch", ylabel="PCK (%)", title="Validation", ylim=(0, 100))
    right.grid(alpha=0.3)
    return figure
