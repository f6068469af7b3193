"""What predictions are worth: metrics, the published evaluators, intervals, kinds of error, robustness, codecs.

Builds on inference; which protocols a data set has, its layout's record says.
"""
