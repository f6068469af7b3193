"""Drawn data: vehicles on streets and people in places, with the labels that a photograph would have.

Builds on the ground modules only. Which files a data set consists of, the layout's record tells it.
"""
