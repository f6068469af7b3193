"""Training: update, training loop, progress on disk, several ranks, and speed measurements.

Builds on layouts (data), inference (validation) and figures (its curves).
"""
