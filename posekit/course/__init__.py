"""The lessons: list them, run them headless, collect results, write the report, open JupyterLab.

Builds on every package above the command.
"""
