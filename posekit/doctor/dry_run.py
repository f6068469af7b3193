"""`posekit train --dry-run`: try all that a training needs before it waits in a queue, and leave nothing behind.

Under scripts/distributed.sh every rank checks its own host, and all print the same table.
"""

import json
import socket
from dataclasses import asdict, replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from posekit.doctor.checks import Check
from posekit.doctor.trials import Findings, Plan, try_everything
from posekit.errors import InputError
from posekit.runtime import launched, set_up, split_device
from posekit.training.ranks import gathered_texts, ranks


def dry_run(console: Console, plan: Plan, workers: int | None = None) -> int:
    """Check everything and print one table; returns 0 if nothing needed is wrong, else 2.

    workers: how many devices the training will have; as many as were started if None.
    """
    found = Findings([_device(plan)])
    if workers and launched() and workers != ranks():
        raise InputError(f"--workers {workers}: distributed.sh has started {ranks()}; leave it out")
    names = gathered_texts(socket.gethostname())
    here = names.count(socket.gethostname()) if launched() else workers or 1
    plan = replace(plan, workers=workers or ranks(), here=here)
    try_everything(found, plan)
    checks = _of_all_ranks(found)
    wrong = sum(not check.ok and check.needed for check in checks)
    console.print(_table(checks, plan))
    what = f"{wrong} to put right" if wrong else "nothing wrong was found"
    console.print(f"{what}; nothing was written", style="bold red" if wrong else "bold green", highlight=False)
    return 2 if wrong else 0


def _device(plan: Plan) -> Check:
    """Set MindSpore up; without a launcher for the CPU where this machine lacks the device, which is only a note."""
    split_device(plan.device)  # says what isn't a device
    try:
        return Check("device", True, str(set_up(plan.device, plan.recipe.seed)))
    except InputError as error:
        if launched() or plan.kind == "cpu":
            raise
        set_up("cpu", plan.recipe.seed)
        return Check("device", False, str(error), "for now, the rest was checked on the CPU", needed=False)


def _of_all_ranks(found: list[Check]) -> list[Check]:
    """Rank 0's checks, and of other ranks what failed there and not, in the same words, on rank 0."""
    mine = {"host": socket.gethostname(), "checks": [asdict(check) for check in found]}
    told = [json.loads(text) for text in gathered_texts(json.dumps(mine))]
    checks = [Check(**fields) for fields in told[0]["checks"]]
    for number, other in enumerate(told[1:], 1):
        for check in (Check(**fields) for fields in other["checks"]):
            if not check.ok and check not in checks:
                checks.append(replace(check, name=f"{check.name}, rank {number} on {other['host']}"))
    return checks


def _table(checks: list[Check], plan: Plan) -> Table:
    """What was found, and below it what to do."""
    title = f"dry run of {plan.recipe.name}, {plan.workers} device{'s' * (plan.workers > 1)}"
    table = Table("", "check", "found", title=Text(title), title_justify="left")
    for check in checks:
        failed = Text("[fail]", "red") if check.needed else Text("[note]", "yellow")
        remedy = "" if check.ok else f"\n-> {check.remedy}"
        table.add_row(Text("[ok]", "green") if check.ok else failed, Text(check.name), Text(check.detail + remedy))
    return table
