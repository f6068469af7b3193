"""Ascend's chips, what they can run, and the versions that fit together: one table, for `posekit doctor` and the docs.

`python -m posekit.doctor.chips` prints it as docs/ascend-chips.md has it, where a test holds it. From documentation,
whose places are in `SOURCES`; none of these chips was at hand.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """A family of Ascend chips.

    printed: a regular expression for the names in `npu-smi info`; names: some of them; sold_in: products;
    memory: gigabytes of the versions there are, for those that train;
    trains: whether posekit is to train on it, None where nobody says; runs: by which software, as a sentence;
    cann: versions documented for what it runs, empty: what MindSpore's wheel accepts; sources: keys of SOURCES.
    """

    name: str
    printed: str
    names: str
    sold_in: str
    memory: tuple[int, ...]
    trains: bool | None
    runs: str
    cann: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stack:
    """Versions that were published together.

    driver: Ascend's driver and firmware (HDK) published with that CANN; oldest: the oldest that is documented to work.
    """

    cann: str
    driver: str
    mindspore: str
    oldest: str = ""
    sources: tuple[str, ...] = ()

    @property
    def series(self) -> str:
        """8.5 of 8.5.0: what MindSpore's wheel compares."""
        return ".".join(self.cann.split(".")[:2])


CHIPS = (
    Chip(
        "310B",
        r"310B\d",
        "310B1, 310B4",
        "Orange Pi AIpro (310B1: 20 TOPS; 310B4: 8 TOPS), Atlas 200I A2, Atlas 200I DK A2",
        (),
        False,
        "Infers only: OM files by pyACL or ais_bench, ONNX files by `atc` first; the boards' own Python 3.9 has "
        "MindSpore 2.4.10 to 2.6.0. This package doesn't install there: it wants Python 3.11",
        ("8.0", "8.1"),
        ("names-200I", "orange-pi", "orange-pi-course"),
    ),
    Chip(
        "310P",
        r"310P\d\w*",
        "310P1, 310P3",
        "Atlas 300I Pro, Atlas 300V Pro, Atlas 300I Duo (two chips)",
        (),
        False,
        "Infers only: OM files by pyACL or ais_bench, MINDIR by MindSpore Lite; `--backend om` and `lite` are for it",
        ("8.1", "8.2", "8.3", "8.5", "9.0"),
        ("names-310P", "lite", "deployer"),
    ),
    Chip(
        "910A",
        r"910(A|B|ProA|ProB|PremiumA)",
        "910A, 910ProA, 910ProB, and 910B without a digit",
        "Atlas 800 (model 9000), Atlas 300T: the first generation, which the published figures are from",
        (32,),
        None,
        "Nobody says: CANN has operators for it up to 9.0, MindSpore 2.10's own operators leave it out. "
        "Try `posekit bench` before you queue",
        (),
        ("soc-names", "910A-name", "cann-9.0", "wheel"),
    ),
    Chip(
        "910B",
        r"910B\d\w*(-\d)?",
        "910B1, 910B2, 910B3, 910B4, 910B4-1",
        "Atlas 800T A2, Atlas 800I A2, Atlas 900 A2 PoD",
        (32, 64),
        True,
        "Trains and infers with this package: the wheel's own operators are built for it",
        (),
        ("mindformers", "910B-names", "wheel"),
    ),
    Chip(
        "910C",
        r"910|910C|910_93\d\d",
        "Ascend910 (two chips on each card, 64 GB each)",
        "Atlas 800T A3, Atlas 900 A3 SuperPoD",
        (64,),
        True,
        "Trains and infers with this package: the wheel's own operators cover it (as ascend910_93)",
        (),
        ("mindformers", "910C-name", "soc-names", "wheel"),
    ),
)

STACKS = (
    Stack("8.0.0", "24.1.0", "2.4.10", sources=("mindformers",)),
    Stack("8.1.RC1", "25.0.RC1", "2.6.0-rc1", sources=("mindformers", "deployer")),
    Stack("8.2.RC1", "25.2.0", "2.7.0", sources=("mindformers", "deployer")),
    Stack("8.3.RC1", "25.3.RC1", "2.7.1", sources=("mindformers", "deployer")),
    Stack("8.5.0", "25.5.0", "2.7.2", "25.0", ("mindformers", "deployer", "cann-9.1")),
    Stack("9.0.0", "26.0.RC1", "2.9.0", "25.0", ("mindformers", "cann-9.0", "cann-9.1")),
    Stack("9.1.0", "26.0.RC1", "2.10.0", "25.2", ("cann-9.1", "wheel")),
)

SOURCES = {
    "names-200I": "https://www.hiascend.com/document/detail/zh/Atlas%20200I%20A2/2520/re/npu/npusmi_007.html",
    "names-310P": "https://github.com/Syllo/nvtop/issues/421",
    "orange-pi": "https://github.com/mindspore-ai/docs/blob/master/tutorials/source_en/orange_pi/environment_setup.md",
    "orange-pi-course": "https://github.com/mindspore-courses/orange-pi-mindspore",
    "lite": "https://www.mindspore.cn/lite/cloud_docs/en/master/quick_start/one_hour_introduction.html",
    "soc-names": "https://gitcode.com/Ascend/RecSDK/blob/develop/cust_op/ascendc_op/config/transform.json",
    "910A-name": "https://github.com/candle-org/candle/pull/110",
    "910B-names": "https://github.com/Project-HAMi/HAMi-WebUI/issues/47",
    "910C-name": "https://github.com/vllm-project/vllm-ascend/issues/2534",
    "mindformers": "https://www.mindspore.cn/mindformers/docs/en/r1.9.0/installation.html",
    "deployer": "https://gitcode.com/Ascend/ascend-deployer/tree/dev/ascend_deployer/downloader/software",
    "cann-9.0": "https://gitcode.com/Ascend/ascend-deployer/blob/dev/ascend_deployer/downloader/software/CANN_9.0.0.json",
    "cann-9.1": "https://gitcode.com/cann/release-management/blob/master/9.1.0/release-notes.md",
    "wheel": "MindSpore's wheel 2.10.0 itself: `run_check/_check_version.py`, `lib/plugin/ascend/custom_ascendc_910b`",
}


def chip_of(name: str) -> Chip | None:
    """The family of a chip by its name in `npu-smi info`, with or without Ascend before it; None if it isn't known."""
    return next((chip for chip in CHIPS if re.fullmatch(chip.printed, name.removeprefix("Ascend"))), None)


def stack_of(cann: str) -> Stack | None:
    """The versions published with that CANN, by its first two numbers; None if they aren't known."""
    return next((stack for stack in STACKS if stack.series == ".".join(cann.split(".")[:2])), None)


def chips_page() -> str:
    """The tables in Markdown."""
    said = {True: "yes", False: "no", None: "not known"}
    chips = [
        (chip.name, chip.names, chip.sold_in, " or ".join(map(str, chip.memory)) or "–", said[chip.trains], chip.runs,
         ", ".join(chip.cann) or "as below", _notes(chip.sources))
        for chip in CHIPS
    ]  # fmt: skip
    stacks = [(s.cann, s.driver, s.oldest or "not documented", s.mindspore, _notes(s.sources)) for s in STACKS]
    lines = [
        *_table("chip", "`npu-smi info` prints", "in", "GB", "trains", "runs", "CANN", "from", rows=chips),
        "",
        *_table(
            "CANN", "driver published with it", "oldest driver", "MindSpore published with it", "from", rows=stacks
        ),
        "",
        *(
            f"{number}. <{place}>" if place.startswith("https:") else f"{number}. {place}"
            for number, place in enumerate(SOURCES.values(), 1)
        ),
    ]
    return "\n".join(lines) + "\n"


def _notes(sources: tuple[str, ...]) -> str:
    return ", ".join(str(list(SOURCES).index(source) + 1) for source in sources)


def _table(*head: str, rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


if __name__ == "__main__":
    print(chips_page(), end="")
