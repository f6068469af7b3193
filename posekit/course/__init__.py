"""The lessons: which there are, running them headless, their results and report, many runs in one table, JupyterLab.

Builds on every package above the command.
"""
