"""Training: the update, the loop, its progress on disk, several ranks, and how fast each part is.

Builds on layouts (data), inference (validation) and figures (its curves).
"""
