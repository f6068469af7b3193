"""Evaluation: metrics, published protocols, confidence intervals, kinds of errors, robustness, codecs.

Builds on inference. The layout's record lists the protocols of a data set.
"""
