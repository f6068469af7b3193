"""The rules of the house that import-linter can't hold."""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "posekit"
KINDS = {"veri", "mpii", "vehicle", "vehicles", "person", "people"}
# The rooms that know kinds of data sets; the commands, whose names and help say them, too.
ALLOWED = re.compile(
    r"skeletons\.py|recipes\.py|synthetic/|layouts/|evaluation/published\.py|reid/|models/convert\.py|course/lessons\.py|cli/"
)


def test_only_some_rooms_know_kinds_of_data_sets():
    """In names and in text that the code uses; docstrings and comments may explain."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        if ALLOWED.match(path.relative_to(PACKAGE).as_posix()):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        docs = {id(n.body[0].value) for n in ast.walk(tree) if isinstance(n, documented) and ast.get_docstring(n)}
        for node in ast.walk(tree):
            words = [getattr(node, field, None) for field in ("id", "attr", "name", "arg", "module")]
            if isinstance(node, ast.Constant) and id(node) not in docs:
                words.append(node.value)
            for word in (word for word in words if isinstance(word, str)):
                if KINDS & set(re.findall(r"[a-z0-9]+", word.lower())):
                    found.append(f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}: {word[:60]}")
    assert found == []


def test_every_package_says_what_it_holds_and_builds_on():
    for path in PACKAGE.rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert len(text) > 40, path
        if path.parent.parent == PACKAGE:
            assert "Builds on" in text, path
