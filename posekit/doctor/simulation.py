"""Compile a training step for an Ascend that isn't here, by MindSpore's own dry run (MS_SIMULATION_LEVEL).

By its documentation (tutorials, DryRun, version 2.10). It needs CANN and was not run: without CANN's libraries
MindSpore has no Ascend even to simulate.
"""

import os
import re
import subprocess
import sys

from posekit.doctor.checks import Check
from posekit.errors import shortened
from posekit.recipes import Recipe
from posekit.settings import to_json

# Takes the recipe as JSON. In a process of its own: the simulation is chosen by the environment, for the whole process.
_COMPILE = """
import sys
import numpy as np
from mindspore import Tensor
from posekit.models import build
from posekit.runtime import set_up
from posekit.settings import from_json
from posekit.skeletons import get_skeleton
from posekit.training.step import averaged_network, make_step
recipe = from_json(sys.stdin.read(), "the recipe")
set_up("ascend", recipe.seed)
skeleton = get_skeleton(recipe.skeleton)
network = build(recipe, skeleton)
step = make_step(network, recipe, 1, averaged_network(network, recipe, skeleton) if recipe.ema else network)
step.set_train(True)
shapes = (3, *recipe.input_shape[1:]), (skeleton.num_keypoints, *recipe.heatmap_shape), (skeleton.num_keypoints,)
step(*(Tensor(np.zeros((recipe.batch, *shape), np.float32)) for shape in shapes))
"""
# 0 compiles, 1 also counts the memory of what operators read and write; GLOG_v=1 prints it.
_ENVIRONMENT = {"MS_SIMULATION_LEVEL": "1", "RANK_SIZE": "1", "RANK_ID": "0", "GLOG_v": "1"}


def simulate(recipe: Recipe, seconds: float = 1800) -> Check:
    """Compile the recipe's training step for one Ascend; a note if that fails, with MindSpore's words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MS_ROLE")}
    command = [sys.executable, "-c", _COMPILE]
    options = {"input": to_json(recipe), "capture_output": True, "text": True, "timeout": seconds}
    try:
        done = subprocess.run(command, env=environment | _ENVIRONMENT, **options)
    except subprocess.TimeoutExpired:
        return _note(f"not done after {seconds:.0f} s")
    if done.returncode:
        errors = re.findall(r"^[\w.]*(?:Error|Exception): (.+)", done.stderr, re.MULTILINE)
        return _note(shortened(errors[-1] if errors else f"exit code {done.returncode}", 300))
    peak = re.findall(r"Actual peak memory usage \(with fragments\): *(\d+)M", done.stdout + done.stderr)
    memory = f"; MindSpore counts {int(peak[-1]) / 1024:.1f} GiB" if peak else ""
    return Check("simulation", True, f"the training step compiles for an Ascend{memory}")


def _note(what: str) -> Check:
    remedy = "this part was never tried on a machine with CANN; the other lines hold without it"
    return Check("simulation", False, f"MS_SIMULATION_LEVEL=1: {what}", remedy, needed=False)
