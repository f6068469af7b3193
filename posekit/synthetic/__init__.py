"""Synthetic data: drawn vehicles and people, with labels like those of photographs.

Builds on the ground modules only. The layout's record says which files a data set has.
"""
