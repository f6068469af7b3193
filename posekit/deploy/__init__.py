"""The network elsewhere: exported files, Ascend's converters, the stages of a 310, parity of all run times.

Builds on layouts, and below them on evaluation and inference.
"""
