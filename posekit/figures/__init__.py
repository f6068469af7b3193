"""Every picture: plain functions from arrays to Matplotlib figures, pages of pictures, and widgets over them.

Builds on evaluation.
"""
