"""The `posekit` command: a file for each group of commands, the options that they share, and no logic.

Builds on all other packages, which each command imports when it runs, so that help is instant.
"""
