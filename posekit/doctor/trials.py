"""The parts of a dry run: software, data, network, memory, time, disk, the other hosts. Each adds to `Findings`."""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from shutil import disk_usage

import numpy as np
from mindspore import nn

from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import steps_per_epoch, training_iterator
from posekit.doctor import hosts, needs
from posekit.doctor.accelerators import Card, accelerator_checks, gpus, npus
from posekit.doctor.checks import Check, opencv_check, packages_check
from posekit.doctor.chips import CHIPS
from posekit.doctor.simulation import simulate
from posekit.errors import InputError, system_error
from posekit.layouts import draw, embedded_place, open_training
from posekit.models import build
from posekit.models.convert import load_pretrained
from posekit.models.report import summary
from posekit.recipes import Recipe
from posekit.runtime import available_mb, chosen_device, cores, launched
from posekit.training.progress import LAST, PREVIOUS, Progress, latest
from posekit.training.ranks import gathered_texts, rank, ranks
from posekit.training.step import TrainStep, averaged_network, describe_update, make_step

SAMPLE = 200  # images of each split that are decoded; `posekit data check` decodes all
DRAWN = 3  # images of each split that are drawn where no data is given and none has been drawn yet
BATCHES = 3  # that each core draws


@dataclass(frozen=True)
class Plan:
    """A training to come, as `posekit train` takes it; workers: how many devices it will have, here: on this host."""

    recipe: Recipe
    data: Path | None
    out: Path
    device: str = "auto"
    images: Path | None = None
    resume: bool = False
    pretrained: Path | None = None
    workers: int = 1
    here: int = 1

    @property
    def kind(self) -> str:
        """cpu, gpu or ascend: what will train, whether it is here or not."""
        asked = self.device.partition(":")[0].lower()
        return chosen_device().target.lower() if asked == "auto" else asked


@dataclass(frozen=True)
class Opened:
    """What a training reads, and how many samples it will have: more, where the data is yet to be drawn."""

    recipe: Recipe
    training: PoseDataset
    validation: PoseDataset
    samples: int
    tested: int


class Findings(list[Check]):
    """The checks so far."""

    @contextmanager
    def check(self, name: str) -> Iterator[Callable[[str], None]]:
        """Yield a function that takes what the check has found; an error in the block is the check's failure."""
        said: list[str] = []
        try:
            yield said.append
        except (InputError, OSError) as error:
            text = system_error(error) if isinstance(error, OSError) else str(error)
            detail, _, remedy = text.rpartition("; ")
            self.append(Check(name, False, detail or text, remedy if detail else "look at the message"))
        else:
            self.append(Check(name, True, "; ".join(said)))


def try_everything(found: Findings, plan: Plan) -> None:
    """Make every check of this rank. Where ranks speak with each other, all do, whatever failed before."""
    cards = {"gpu": gpus, "ascend": npus}.get(plan.kind, list)()
    _software(found, plan, cards)
    opened = None
    with ExitStack() as stack:
        with found.check("data") as say:
            opened = _open(plan, stack.enter_context(_data(plan)))
            say(f"{opened.samples:,} training samples, {opened.tested:,} to validate with")
        _same_data(found, opened)
        if opened:
            _images(found, opened, plan)
            _network(found, plan, opened, cards)
    _folders(found, plan)
    _between_hosts(found, plan)


def _software(found: Findings, plan: Plan, cards: list[Card]) -> None:
    """Python, packages, driver, CUDA or CANN; without a card here, what concerns it is a note."""
    version = platform.python_version()
    found.append(Check("Python", version.startswith("3.11."), version, "use Python 3.11: MindSpore's wheel is for it"))
    found += [packages_check(), opencv_check()]
    needed = bool(cards) or launched()
    for check in accelerator_checks(plan.kind):
        unfit = check.name == "chip" and "Infers only" in check.detail
        found.append(replace(check, needed=needed and (check.needed or unfit)))


@contextmanager
def _data(plan: Plan) -> Iterator[Path]:
    """The data set: the one given, or the drawn one if it is there, or else a few images, drawn for the moment."""
    place = plan.data or embedded_place(plan.recipe)
    if plan.data or place.is_dir():
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="posekit-") as folder:
        draw(plan.recipe, Path(folder, "drawn"), DRAWN, DRAWN)
        yield Path(folder, "drawn")


def _open(plan: Plan, place: Path) -> Opened:
    """Open both splits, as a training does; every image must be there."""
    recipe, training, validation = open_training(plan.recipe, place, plan.images)
    for split in (training, validation):
        if not split.visible.any():
            raise InputError(f"{split.split} split: no visible keypoints; fix the labels")
    if plan.data or place == embedded_place(plan.recipe):
        return Opened(recipe, training, validation, len(training), len(validation))
    share = recipe.validation_share if recipe.validation == "share" else 0
    tested = int(share * recipe.synthetic_train) if share else recipe.synthetic_test
    return Opened(recipe, training, validation, int(recipe.synthetic_train * (1 - share)), tested)


def _same_data(found: Findings, opened: Opened | None) -> None:
    """Compare the labels between the ranks."""
    if ranks() == 1:
        return
    mine = opened.training.digest() + opened.validation.digest() if opened else "none"
    with found.check("same data") as say:
        digests = gathered_texts(mine)
        other = [number for number, digest in enumerate(digests) if digest != digests[0]]
        if other:
            which = ", ".join(map(str, other))
            raise InputError(f"rank {which} has other data than rank 0, or none; give a folder that all hosts share")
        say("the same labels for all ranks")


def _images(found: Findings, opened: Opened, plan: Plan) -> None:
    """Decode a sample of both splits, spread evenly."""
    with found.check("images") as say:
        for split in (opened.training, opened.validation):
            rows = np.unique(np.linspace(0, len(split) - 1, min(SAMPLE, len(split))).astype(int))
            for row in rows:
                split[int(row)]
            say(f"{split.split}: {len(rows):,} of {len(split):,} decoded")
        if max(len(opened.training), len(opened.validation)) > SAMPLE:
            say(f"all are decoded by posekit data check {opened.recipe.dataset} {plan.data or 'DATA'}")


def _network(found: Findings, plan: Plan, opened: Opened, cards: list[Card]) -> None:
    """Build the network and its training step, load weights, count what a training needs, draw batches."""
    recipe, skeleton, cost = opened.recipe, opened.training.skeleton, None
    with found.check("network") as say:
        network = build(recipe, skeleton)
        step = make_step(network, recipe, 1, averaged_network(network, recipe, skeleton) if recipe.ema else network)
        cost = needs.cost_of(recipe, network, step)
        say(f"{cost.weights / 4e6:.2f} million values; {describe_update(recipe, plan.workers)}")
        _load(network, plan, say)
        if plan.resume and opened.samples == len(opened.training):  # not where it is drawn for the moment
            _resume(found, plan, opened, step)
    if cost:
        fits = _memory(found, plan, recipe, cost, cards)
        images = _batches(found, opened) if fits else float("nan")  # a batch too large for a card may be for this host
        _time(found, plan, opened, cost, images)
        _disk(found, plan, cost)
    if plan.kind == "ascend" and not cards and os.environ.get("ASCEND_HOME_PATH"):
        found.append(simulate(replace(recipe, skeleton=skeleton)))


def _resume(found: Findings, plan: Plan, opened: Opened, step: TrainStep) -> None:
    """Whether the run that is there can continue with this recipe, data and number of workers."""
    with found.check("resume") as say:
        fresh = Progress(opened.training.digest(), plan.workers)
        there = latest(plan.out, opened.recipe, step, fresh, repair=False)
        say(f"continues after {there[-1].step:,} updates" if there else f"{plan.out} holds no run yet: it begins anew")


def _load(network: nn.Cell, plan: Plan, say: Callable[[str], None]) -> None:
    if plan.pretrained:
        say(f"{plan.pretrained}: {summary(load_pretrained(network, plan.pretrained)).splitlines()[0]}")


def _batches(found: Findings, opened: Opened) -> float:
    """Draw some batches for each rank, as training does; returns images a second."""
    images, recipe = float("nan"), replace(opened.recipe, accumulate=1)
    count = BATCHES * min(len(cores()), 16)  # so that every thread that draws has some
    rows = np.resize(np.arange(len(opened.training)), count * recipe.batch * ranks())
    shapes: list[tuple[int, ...]] = []
    with found.check("batches") as say:
        began = time.perf_counter()
        for batch in training_iterator(opened.training.take(rows), recipe, 1, 0, rank(), ranks()):
            shapes = [array.shape for array in batch]
        images = count * recipe.batch / (time.perf_counter() - began)
        say(f"images {shapes[0]}, heatmaps {shapes[1]}; {needs.rate(images)} on this host now")
    return images


def _memory(found: Findings, plan: Plan, recipe: Recipe, cost: needs.Cost, cards: list[Card]) -> bool:
    """Whether a batch fits into a card, or into this host's memory."""
    on_card = plan.kind != "cpu"
    need = needs.memory_mb(recipe, cost, recipe.batch, on_card)
    room, where = _room(plan, cards)
    with found.check("memory") as say:
        text = f"about {need / 1e3:.1f} GB for batch {recipe.batch}; {where}"
        if need > room:
            fits = needs.largest_batch(recipe, cost, room, on_card)
            raise InputError(f"{text}; {_divided(recipe.update_images, fits)}")
        say(text)
    return need <= room


def _divided(images: int, fits: int) -> str:
    """How to make an update of so many images in batches of at most `fits`."""
    if not fits:
        return "use a smaller recipe or input"
    batches = ceil(images / fits)
    return f"--set batch={ceil(images / batches)} --set accumulate={batches}"


def _room(plan: Plan, cards: list[Card]) -> tuple[float, str]:
    """Megabytes that a worker may use, and where."""
    if plan.kind == "cpu":
        free = available_mb()
        others = f", for {plan.here} workers" if plan.here > 1 else ""
        return free * needs.USABLE / plan.here, f"{free / 1e3:.1f} GB are free here{others}"
    if memory := [card.memory for card in cards if card.memory]:
        return min(memory) * needs.USABLE, f"a {cards[0].name} here has {min(memory) / 1e3:.1f} GB"
    if plan.kind == "gpu":
        return float("inf"), "no card here to compare with"
    known = [chip for chip in CHIPS if chip.memory]
    most = max(max(chip.memory) for chip in known)
    text = ", ".join(f"{chip.name} {' or '.join(map(str, chip.memory))} GB" for chip in known)
    return most * 1e3 * needs.USABLE, f"no card here; known are {text}"


def _time(found: Findings, plan: Plan, opened: Opened, cost: needs.Cost, drawn: float) -> None:
    """How long it may take, by the device or by the data pipeline."""
    recipe = opened.recipe
    target = {"cpu": "CPU", "gpu": "GPU", "ascend": "Ascend"}[plan.kind]
    images, source = needs.speed_of(recipe, cost, target)
    with found.check("time") as say:
        updates = recipe.epochs * steps_per_epoch(opened.samples, recipe.update_images * plan.workers)
        seconds = needs.training_seconds(recipe, images, opened.samples, opened.tested, plan.workers)
        each = f"{needs.rate(images)} on each device (from {source})"
        say(f"about {needs.duration(seconds)} for {updates:,} updates, {each}")
        if drawn < images:
            slow = needs.training_seconds(recipe, drawn, opened.samples, opened.tested, plan.workers)
            say(f"with the batches as slow as now, {needs.rate(drawn)}: {needs.duration(slow)}")


def _disk(found: Findings, plan: Plan, cost: needs.Cost) -> None:
    """Whether the run's files fit where they go."""
    place = hosts.existing(plan.out)
    with found.check("disk") as say:
        need = needs.disk_mb(cost, plan.resume and (plan.out / PREVIOUS).exists())
        free = disk_usage(place).free / 1e6
        if need > free:
            raise InputError(f"{place}: {need:,.0f} MB needed, {free:,.0f} free; make room, or give another --out")
        say(f"{need:,.0f} MB needed, {free / 1e3:,.1f} GB free at {place}")


def _folders(found: Findings, plan: Plan) -> None:
    """Whether the run's folder can take this run, and all ranks see it."""
    with found.check("folder") as say:
        if not plan.resume and any((plan.out / name).exists() for name in (LAST, PREVIOUS)):
            raise InputError(f"{plan.out}: already holds a run; give another --out, or continue it with --resume")
        say(hosts.check_writable(plan.out))
    if ranks() > 1:
        with found.check("same folder") as say:
            say(hosts.check_same_folder(plan.out))


def _between_hosts(found: Findings, plan: Plan) -> None:
    """The rank table, and the ports of a job to come: this one's are in use, by itself."""
    if table := os.environ.get("RANK_TABLE_FILE"):
        with found.check("rank table") as say:
            say(hosts.check_rank_table(Path(table), plan.workers, rank() if ranks() > 1 else None))
    if plan.workers > 1 and not launched():
        with found.check("ports") as say:
            say(hosts.check_ports(plan.kind == "ascend"))
