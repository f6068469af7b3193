"""A wheel also holds the workbook: lessons, scripts and docs, in posekit/workbook. All else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

WORKBOOK = (
    "notebooks/*.ipynb", "notebooks/*/*.md", "scripts/*.*", "scripts/*/*", "docs/*.*", "docs/*/*.*", "data/README.md",
)  # fmt: skip


def workbook() -> list[str]:
    """The workbook's files, from the root of the repository."""
    return sorted(path.as_posix() for pattern in WORKBOOK for path in Path().glob(pattern) if path.is_file())


class WithWorkbook(build_py):
    """Build the package, and put the workbook into it; `pip install -e .` uses the repository's own."""

    def run(self) -> None:
        """Copy the package's files, then the workbook's."""
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "posekit", "workbook")
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier build
        for name in workbook():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, folder / name)

    def get_source_files(self) -> list[str]:
        """What a source distribution needs to build the wheel."""
        return [*super().get_source_files(), *workbook()]


setup(cmdclass={"build_py": WithWorkbook})
