"""The `posekit` command: one file per group of commands, their shared options, and no logic.

Builds on all other packages, which each command imports when it runs, so that --help is fast.
"""
