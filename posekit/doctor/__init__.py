"""What is installed and right on this machine, and how fast it is.

Builds on models, whose speed it measures, and on training, whose needs a dry run checks.
"""
