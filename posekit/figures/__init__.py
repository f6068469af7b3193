"""All pictures: plain functions from arrays to Matplotlib figures, HTML pages of pictures, and notebook widgets.

Builds on evaluation.
"""
