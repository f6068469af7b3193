"""Damaged inputs by the thousand: python tests/mutations.py [--count 2000] [--seed N] [--jobs 2] [--verbose]

Each case damages one file of a small valid set (`mutation_kinds`) in a way that its seed says (`mutators`), and gives
it to a command that reads it. That is done in processes of its own that have everything imported, with a watch on time
and memory. A finding is

- a traceback, a crash, an exit code beyond 0, 1 and 2, an error that isn't one line;
- more than 30 seconds or 4 GB of memory;
- files left by a command that failed;
- a silent change: success with another result than the whole file gives, without a line that names the file, where the
  format shows the damage (`mutation_rules` says what formats show);
- an image that `data check` calls good, and that is damaged.

The inputs of findings are kept; the folder and the command to try again are printed. Case 17 of a seed is the same in
any run: --case 17.
"""

import argparse
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import mutators
import numpy as np
from mutation_kinds import KINDS, Kind
from mutation_processes import Done, Worker, make, serve
from mutation_rules import same_picture, sound_image


@dataclass
class Outcome:
    """What became of a case: refused, the same result, another one (said, or not to be seen), or a finding."""

    case: int
    kind: Kind
    damage: str
    command: str
    verdict: str
    details: str = ""
    memory: float = 0
    seconds: float = 0


@dataclass
class Expected:
    """What a command does with the valid files; of two runs, the parts that agree."""

    lines: set[str] = field(default_factory=set)
    out: str | None = None
    files: dict[str, str] = field(default_factory=dict)


class Bench:
    """The valid files, and what every command does with them."""

    def __init__(self, base: Path, work: Path, kept: Path, seed: int) -> None:
        self.base, self.work, self.kept, self.seed = base, work, kept, seed
        self._expected: dict[str, Expected] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def prepared(self, kind: Kind, name: str) -> Path:
        """A folder of what the kind's commands read."""
        folder = self.work / name
        for need in kind.needs:
            target = folder / need
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (self.base / need).is_dir() else shutil.copy2)(self.base / need, target)
        return folder

    def expected(self, worker: Worker, kind: Kind, line: str) -> Expected:
        """What the command does with the valid files."""
        with self._locks[line]:
            if line not in self._expected:
                runs = []
                for number in range(2):
                    folder = self.prepared(kind, f"whole-{threading.get_ident()}-{number}")
                    done = worker.run(folder, line.split())
                    shutil.rmtree(folder)
                    assert isinstance(done, Done) and done.code == 0, (line, done)
                    runs.append(done)
                one, two = runs
                same = {name: it for name, it in one.files.items() if two.files.get(name) == it}
                seen = {text for run in runs for text in (run.out + run.err).splitlines()}
                self._expected[line] = Expected(seen, one.out if one.out == two.out else None, same)
            return self._expected[line]

    def try_case(self, worker: Worker, number: int) -> Outcome:
        """Damage a file, run a command on it, and judge."""
        rng = np.random.default_rng([self.seed, number])
        kind = KINDS[rng.choice(len(KINDS), p=WEIGHTS)]
        line = kind.commands[rng.integers(len(kind.commands))]
        expected = self.expected(worker, kind, line)
        folder = self.prepared(kind, f"case-{number}")
        path, whole = folder / kind.file, (self.base / kind.file).read_bytes()
        damage = damaged(rng, kind, path, whole)
        kept = self.kept / f"case-{number}"
        shutil.copytree(folder, kept, symlinks=True)
        done = worker.run(folder, line.split())
        verdict, details = judged(done, expected, kind, line, kept, whole)
        if verdict in OUTCOMES:
            shutil.rmtree(kept)
        else:
            (kept / "about.txt").write_text(f"posekit {line}\n{damage}\n{verdict}\n{details}\n{done}\n")
        shutil.rmtree(folder)
        memory, seconds = (done.memory, done.seconds) if isinstance(done, Done) else (0, 0)
        return Outcome(number, kind, damage, line, verdict, details, memory, seconds)


WEIGHTS = np.array([kind.weight for kind in KINDS]) / sum(kind.weight for kind in KINDS)
OUTCOMES = ("refused", "same", "said", "not to be seen")


def damaged(rng: np.random.Generator, kind: Kind, path: Path, whole: bytes) -> str:
    """Damage the file; returns how."""
    if rng.random() < 0.04:
        return mutators.replace_path(rng, path)
    choice = [*mutators.BYTES, *kind.own * 4]
    if kind.text:
        choice += mutators.TEXT * 2
    mutator = choice[rng.integers(len(choice))]
    path.write_bytes(mutator(rng, whole))
    return mutator.__name__


def judged(done: Done | str, expected: Expected, kind: Kind, line: str, kept: Path, whole: bytes) -> tuple[str, str]:
    """The verdict, and what it rests on."""
    if isinstance(done, str):
        return done.partition(":")[0], done
    said = [text for text in done.err.splitlines() if text.startswith("posekit: ")]
    if "Traceback" in done.err or done.code not in (0, 1, 2):
        return "traceback", done.err[-1500:]
    if done.code:
        if len(said) != 1 or len(said[0]) > 700:
            return "not one line", done.err[-1500:]
        if done.files and not kind.continues:
            return "files left", f"{sorted(done.files)}: {said[0]}"
        return "refused", said[0]
    path = kept / kind.file
    changed = {name for name, digest in expected.files.items() if done.files.get(name) != digest}
    changed -= {"out.tensors.csv"}  # what convert says about every tensor
    if not expected.files and expected.out not in (None, done.out):
        changed = {"what it prints"}
    if not changed:
        checked = kind.sound is sound_image and line.startswith("data check")
        missed = checked and not kind.sound(path, whole) and not same_picture(path, whole)
        return ("passes the check", done.out) if missed else ("same", "")
    new = [text for text in (done.out + done.err).splitlines() if text not in expected.lines and "%|" not in text]
    if any(path.name in text or path.stem in text for text in new) or line.startswith("data check"):
        return "said", "\n".join(new)
    if (path.is_file() and kind.sound(path, whole)) or (kind.optional and not path.is_symlink() and not path.exists()):
        return "not to be seen", ""
    return "silent change", f"{sorted(changed)}\n{done.out}{done.err}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--base", type=Path, help="keep the valid files here, or take them from here")
    parser.add_argument("--kept", type=Path, help="folder for the inputs of findings")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    elif options.make:
        make(options.make)
    else:
        sys.exit(try_all(options))


def try_all(options: argparse.Namespace) -> int:
    """Try the cases; returns the number of findings, at most 1."""
    began = time.monotonic()
    print(f"seed {options.seed}", flush=True)
    kept = options.kept or Path(tempfile.mkdtemp(prefix="mutations-"))
    with tempfile.TemporaryDirectory() as name:
        base = options.base or Path(name, "base")
        if not base.exists():
            base.mkdir(parents=True)
            subprocess.run([sys.executable, __file__, "--make", base], check=True, stdout=subprocess.DEVNULL)
        bench = Bench(base.resolve(), Path(name), kept, options.seed)
        numbers = iter([options.case] if options.case is not None else range(options.count))
        outcomes: list[Outcome] = []
        lock = threading.Lock()

        def work() -> None:
            worker = Worker()
            try:
                while True:
                    with lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    outcome = bench.try_case(worker, number)
                    outcomes.append(outcome)
                    if outcome.verdict not in OUTCOMES or options.verbose:
                        show(outcome, kept)
            finally:
                worker.close()

        threads = [threading.Thread(target=work) for _ in range(options.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    findings = report(outcomes)
    print(f"{len(outcomes)} cases in {time.monotonic() - began:.0f} s, {findings} findings; seed {options.seed}")
    complete = len(outcomes) == (1 if options.case is not None else options.count)
    return int(findings > 0 or not complete)


def show(outcome: Outcome, kept: Path) -> None:
    """Print what became of a case."""
    print(
        f"--- case {outcome.case}: {outcome.kind.name}: {outcome.damage}: {outcome.verdict} ({outcome.seconds:.1f} s)\n"
        f"cd {kept}/case-{outcome.case} && python -m posekit.cli {outcome.command}\n{outcome.details}",
        flush=True,
    )


def report(outcomes: list[Outcome]) -> int:
    """Print a row per kind; returns the number of findings."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for outcome in outcomes:
        verdict = outcome.verdict if outcome.verdict in OUTCOMES else "findings"
        for name in (outcome.kind.name, "all"):
            counts[name].update([verdict, "runs"])
    columns = ("runs", *OUTCOMES, "findings")
    print(f"{'':28}" + "".join(f"{name:>16}" for name in columns))
    for name, row in counts.items():
        print(f"{name:28}" + "".join(f"{row[column]:16}" for column in columns))
    if outcomes:
        slow, large = max(outcomes, key=lambda it: it.seconds), max(outcomes, key=lambda it: it.memory)
        print(f"slowest: {slow.seconds:.1f} s (case {slow.case}); most memory: {large.memory / 1e9:.2f} GB")
    return counts["all"]["findings"]


if __name__ == "__main__":
    main()
