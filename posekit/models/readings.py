"""Find a network among a file's tensors, whatever prefix their names have and whichever dict they are in.

Each family of networks has one tensor that no other has by that name. Where a name ends with it, all that stands before
is the prefix of a whole network, such as `state_dict.module.backbone.`; keys of nested dicts count as parts of names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from math import prod
from pathlib import Path
from typing import Any

from posekit.bounds import PARAMETERS
from posekit.errors import InputError, shown
from posekit.models.torch_files import WeightsFile, is_tensor, objects_only

IMAGENET, POSE, HOURGLASS = LAYOUTS = ("hrnet-imagenet", "hrnet-pose", "hourglass")
_ANCHORS = {"hrnet": "stage2.0.branches.0.0.conv1.weight", "hourglass": "features.0.1.conv.weight"}
_HEAD = "final_layer.weight"  # of HRNet's pose networks; in some files under another prefix than the rest
_WRAPPERS = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_DEPTH = 8  # of dicts in dicts that are looked through


@dataclass(frozen=True)
class Reading:
    """One network of a file.

    tensors: by their published names; `head.…` is what a head has beside its last layer.
    names: what the file calls them.
    others: shapes of the tensors that are beside them.
    beside: what else there is: "left out" for another network, "no tensor" for anything else.
    prefixes: what stands before the names of the network, and of its head where that differs.
    """

    path: Path
    layout: str
    tensors: dict[str, Any]
    names: dict[str, str]
    others: dict[str, tuple[int, ...]] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ("",)

    @property
    def name(self) -> str:
        """What a person chooses this reading by: the last prefix, or a dot where there is none."""
        return self.prefixes[-1].rstrip(".") or "."

    @property
    def family(self) -> str:
        """hrnet or hourglass."""
        return self.layout.partition("-")[0]

    def shown(self, published: str) -> str:
        """What the file calls this tensor, or would call it if it had it."""
        if published in self.names:
            return self.names[published]
        first, name = next(iter(self.names.items()))
        return (name.removesuffix(first) if name.endswith(first) else "") + published


def find(file: WeightsFile, layout: str | None = None, weights: str | None = None, family: str = "") -> Reading:
    """Find the file's network: of this layout, or of any (of this family); `weights` names one of several.

    InputError when there is none, and when there are several, unless their values are equal.
    """
    tensors = {name: (path, value) for name, path, value in _named(file.content) if is_tensor(value)}
    found = [_reading(file, tensors, *it) for it in _places(tensors)]
    fitting = [it for it in found if _fits(it, layout) and it.family.startswith(family)]
    if layout == IMAGENET:  # of two heads on one network neither matters
        fitting = list({it.prefixes[0]: it for it in fitting}.values())
    if weights is not None:
        exact = [it for it in fitting if it.name == weights]
        fitting = exact or [it for it in fitting if it.name.startswith(f"{weights}.")]
    if not fitting:
        raise _nothing(file, found, list(tensors), layout, weights, family)
    first, *rest = fitting
    if not all(_equal(first, other) for other in rest):
        raise InputError(
            f"{file.path}: holds {len(fitting)} networks whose values differ; choose one: posekit convert --weights "
            f"NAME, where NAME is {' or '.join(shown(it.name) for it in fitting)}"
        )
    return first


def some(names: list[str]) -> str:
    """The first of the names, and how many more there are."""
    return names[0][:200] + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")


def _fits(reading: Reading, layout: str | None) -> bool:
    return layout in (None, reading.layout) or (layout == IMAGENET and reading.layout == POSE)


def _nothing(
    file: WeightsFile, found: list[Reading], names: list[str], layout: str | None, weights: str | None, family: str
) -> InputError:
    """The error when no network fits: it says what the file holds instead."""
    if not names and file.objects:
        return objects_only(file.path)
    if not names:
        keys = ", ".join(str(key)[:80] for key in list(file.content)[:5])
        return InputError(
            f"{file.path}: holds no tensors by name ({keys or 'no names'}); give a state dict, or a training file with "
            "one under state_dict"
        )
    if weights is not None and found:
        choices = " or ".join(shown(reading.name) for reading in found)
        return InputError(f"{file.path}: has no network named {shown(weights)} that fits; choose {choices}")
    looks = f"it looks like {found[0].layout}" if found else "it is of another network"
    if family:
        return InputError(f"{file.path}: no tensor of the recipe's network is in it, only {some(names)}; {looks}")
    if layout is None:
        return InputError(
            f"{file.path}: holds none of the known networks ({', '.join(LAYOUTS)}), but {some(names)}; check that "
            "it is the right file"
        )
    wanted = _HEAD if layout == POSE and found else _ANCHORS[layout.partition("-")[0]]
    return InputError(f"{file.path}: holds no {wanted}, as {layout} files do, but {some(names)}; {looks}: check --from")


def _named(content: Mapping) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """The dotted name of each value in nested dicts, without what wrappers add within names; its keys; the value."""
    taken: set[str] = set()
    for path, value in _leaves(content, (), set()):
        name = ".".join(path)
        plain = _WRAPPERS.sub("", name)
        name = name if plain in taken else plain
        taken.add(name)
        yield name, path, value


def _leaves(content: Mapping, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value and len(path) < _DEPTH:
            if id(value) not in seen:
                seen.add(id(value))
                yield from _leaves(value, (*path, _printable(key)), seen)
        else:
            yield (*path, _printable(key)), value


def _printable(key: Any) -> str:
    """A key with what can't be printed or written to a table escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(key))


def _places(tensors: Mapping[str, tuple]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The layout and the prefixes of each network."""
    for body in _prefixes(tensors, _ANCHORS["hourglass"]):
        yield HOURGLASS, (body,)
    bodies = _prefixes(tensors, _ANCHORS["hrnet"])
    heads = [head for head in _prefixes(tensors, _HEAD) if len(tensors[head + _HEAD][1].shape) == 4]
    for body in bodies:
        if body in heads:
            yield POSE, (body,)
            continue
        free = [head for head in heads if head not in bodies]
        nearest = max((_common(body, head) for head in free), default=0)
        near = [head for head in free if _common(body, head) == nearest]
        yield from ((POSE, (body, head)) for head in near)
        if not near:
            yield IMAGENET, (body,)


def _prefixes(tensors: Mapping[str, tuple], end: str) -> list[str]:
    return [name.removesuffix(end) for name in tensors if name == end or name.endswith(f".{end}")]


def _common(a: str, b: str) -> int:
    """How many parts two prefixes have in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a.split("."), b.split("."), strict=False)))


def _reading(file: WeightsFile, tensors: Mapping[str, tuple], layout: str, prefixes: tuple[str, ...]) -> Reading:
    body, *heads = prefixes
    own: dict[str, str] = {}  # published name -> name in `tensors`
    for name in tensors:
        if heads and name.startswith(heads[0]):
            rest = name.removeprefix(heads[0])
            own[rest if rest.startswith("final_layer.") else f"head.{rest}"] = name
        elif name.startswith(body):
            own[name.removeprefix(body)] = name
    if sum(prod(tensors[name][1].shape) for name in own.values()) > PARAMETERS:
        raise InputError(f"{file.path}: its tensors have more than {PARAMETERS:,} values, the most of any network here")
    paths = [tensors[name][0] for name in own.values()]
    root = _common_path([path[:-1] for path in paths])
    used, others, beside = set(paths), {}, {}
    for name, path, value in _named(file.content):
        if path in used:
            continue
        if path[: len(root)] == root and is_tensor(value):
            others[".".join(path[len(root) :])] = tuple(value.shape)
            continue
        level = len(_common_path([root, path[:-1]]))
        key = ".".join(path[: level + 1]) if level < len(root) else path[level]
        other_network = any(name.endswith(anchor) for anchor in _ANCHORS.values())
        beside[key] = "left out" if other_network else beside.get(key, "no tensor")
    return Reading(
        file.path,
        layout,
        {published: tensors[name][1] for published, name in own.items()},
        {published: ".".join(tensors[name][0][len(root) :]) for published, name in own.items()},
        others,
        beside,
        prefixes,
    )


def _common_path(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The keys with which all paths begin."""
    return tuple(parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))


def _equal(a: Reading, b: Reading) -> bool:
    """Whether two networks have the same tensors, to the last bit."""
    return a.tensors.keys() == b.tensors.keys() and all(
        value is b.tensors[name] or _same(value, b.tensors[name]) for name, value in a.tensors.items()
    )


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b) or a.shape != b.shape or a.dtype != b.dtype:
        return False
    try:
        return bool((a == b).all())
    except (AttributeError, RuntimeError):  # of sparse tensors and types that can't be compared
        return False


def hrnet_sizes(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """A Recipe's fields of HRNet, without the head's; KeyError for a tensor that is missing, or no convolution."""
    modules = tuple(_count(tensors, f"stage{i + 2}.") for i in range(_count(tensors, "stage")))
    branch_blocks = _count(tensors, "stage2.0.branches.0.")
    blocks = branch_blocks * sum(count * (i + 2) for i, count in enumerate(modules))
    if blocks > len(tensors):  # more cells than there is something to put into: don't make them
        raise KeyError(f"the tensors of {blocks:,} blocks")
    return {
        "stem_width": outputs(tensors, "conv1.weight"),
        "layer1_block": "bottleneck" if "layer1.0.conv3.weight" in tensors else "basic",
        "layer1_blocks": _count(tensors, "layer1."),
        "width": outputs(tensors, _ANCHORS["hrnet"]),
        "branch_blocks": branch_blocks,
        "stage_modules": modules,
    }


def hourglass_sizes(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """As `hrnet_sizes`, of Stacked Hourglass."""
    depth = 1
    while f"hgs.0.0.{'low2.' * depth}up1.bn1.weight" in tensors:
        depth += 1
    return {
        "width": outputs(tensors, _ANCHORS["hourglass"]),
        "stacks": _count(tensors, "hgs."),
        "depth": depth,
        "unused_skips": "hgs.0.0.up1.skip_layer.conv.weight" in tensors,
    }


def outputs(tensors: Mapping[str, Any], name: str) -> int:
    """The output channels of a convolution's weights; KeyError where there are none."""
    shape = tensors[name].shape
    if len(shape) != 4:
        raise KeyError(name)
    return int(shape[0])


def _count(tensors: Mapping[str, Any], start: str) -> int:
    """How many different words follow `start` in the tensors' names."""
    return len({name[len(start) :].split(".")[0] for name in tensors if name.startswith(start)})
