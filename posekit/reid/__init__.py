"""Data for vehicle re-identification with MultiTaskNet: its layout, surface segments, writing and checking.

Builds on inference.
"""
