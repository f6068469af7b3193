"""posekit train --dry-run: what it finds wrong before a training, with stand-ins for cards, hosts and full disks."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from posekit.doctor import accelerators, hosts, needs, trials
from posekit.doctor.checks import Check
from posekit.errors import InputError
from posekit.recipes import get_recipe
from posekit.settings import override

TINY = get_recipe("poseestnet-tiny")
linux = pytest.mark.skipif(sys.platform != "linux", reason="stand-ins are for Linux")


def tree(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def cost() -> needs.Cost:
    """Of poseestnet, as `cost_of` counted it."""
    return needs.Cost(weights=114_576_000, state=343_296_000, layers=585, outputs=50_982_912, macs=10_195_828_736)


@pytest.mark.parametrize(("batch", "measured"), [(1, 4000), (4, 4596)])
def test_memory_on_the_cpu_is_what_was_measured(cost: needs.Cost, batch: int, measured: float) -> None:
    """The largest resident set of a training step of poseestnet, in megabytes."""
    assert needs.memory_mb(get_recipe("poseestnet"), cost, batch, on_card=False) == pytest.approx(measured, rel=0.1)


def test_memory_on_a_card(cost: needs.Cost) -> None:
    """The published training of 32 images ran on a card of 24 GB."""
    recipe = get_recipe("poseestnet")
    assert needs.memory_mb(recipe, cost, 32, on_card=True) < 24_000 * needs.USABLE
    fits = needs.largest_batch(recipe, cost, 24_000, on_card=True)
    assert needs.memory_mb(recipe, cost, fits, True) <= 24_000 < needs.memory_mb(recipe, cost, fits + 1, True)
    assert needs.largest_batch(recipe, cost, 500, on_card=True) == 0


@pytest.mark.parametrize(
    ("target", "workers", "batch", "hours", "about"),
    [
        ("GPU", 1, 32, 6.8, 0.05),  # published: 6 h 48 min on one RTX 3090
        ("Ascend", 8, 16, 40 / 60, 0.25),  # published: 40 minutes on eight, of which 32 are steps
    ],
)
def test_known_trainings_take_what_was_published(
    cost: needs.Cost, target: str, workers: int, batch: int, hours: float, about: float
) -> None:
    recipe = replace(get_recipe("poseestnet"), batch=batch, flip_test=False)
    images, _ = needs.speed_of(recipe, cost, target)
    seconds = needs.training_seconds(recipe, images, 9068, 0, workers)
    assert seconds / 3600 == pytest.approx(hours, rel=about)


def test_cores_count_on_the_cpu(cost: needs.Cost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "cores", lambda: [0, 1])
    two, _ = needs.speed_of(get_recipe("poseestnet"), cost, "CPU")
    monkeypatch.setattr(needs, "cores", lambda: [0, 1, 2, 3])
    four, _ = needs.speed_of(get_recipe("poseestnet"), cost, "CPU")
    assert two == pytest.approx(0.8, rel=0.01) and four == 2 * two


# Addresses, ports, folders


def table(**change: object) -> dict:
    """Two hosts with two devices each; this one, and one that isn't."""
    devices = [[{"device_id": str(d), "device_ip": f"192.168.{s}.{d}", "rank_id": str(2 * s + d)} for d in (0, 1)]
               for s in (0, 1)]  # fmt: skip
    servers = [{"server_id": name, "device": found, "host_nic_ip": "reserve"}
               for name, found in zip(("127.0.0.1", "203.0.113.9"), devices, strict=True)]  # fmt: skip
    return {"version": "1.0", "server_count": "2", "server_list": servers, "status": "completed"} | change


def write(folder: Path, content: dict) -> Path:
    path = folder / "table.json"
    path.write_text(json.dumps(content))
    return path


def test_a_right_rank_table(tmp_path: Path) -> None:
    for mine in (0, 1, None):
        assert "2 hosts, 4 ranks; this is 127.0.0.1" in hosts.check_rank_table(write(tmp_path, table()), 4, mine)
    elsewhere = table()
    elsewhere["server_list"][0]["server_id"] = "203.0.113.8"
    assert "this host is none of them" in hosts.check_rank_table(write(tmp_path, elsewhere), 4, None)


def changed(where: str, value: object) -> dict:
    """The table with one value changed; `where` as server_list.0.device.1.rank_id."""
    content = table()
    *way, last = where.split(".")
    holder = content
    for step in way:
        holder = holder[int(step)] if step.isdigit() else holder[step]
    holder[last] = value
    return content


@pytest.mark.parametrize(
    ("content", "workers", "mine", "message"),
    [
        (table(), 8, None, r"the ranks are \[0, 1, 2, 3\], not 0 to 7 for 8 workers"),
        (table(), 4, 2, "rank 2 runs on .*, which doesn't have 203.0.113.9"),
        (changed("server_list.1.device.1.rank_id", "2"), 4, 0, r"the ranks are \[0, 1, 2, 2\]"),
        (changed("server_list.0.device.1.device_ip", "192.168.0.0"), 4, 0, "device_ip 192.168.0.0 is there twice"),
        (
            changed("server_list.0.device.1.device_ip", "192.168.0"),
            4,
            0,
            "device_ip is '192.168.0', no network address",
        ),
        (changed("server_list.0.device.1.device_id", "0"), 4, 0, "device_id 0 is there twice"),
        (changed("server_list.0.device.1.device_id", 1), 4, 0, "device_id is 1, not a number in quotes"),
        (changed("server_list.1.server_id", "host1"), 4, 0, "server_id is 'host1', no network address"),
        (table(server_count="1"), 4, 0, "server_count is '1', not '2'"),
        (table(status="initializing"), 4, 0, "status is 'initializing', not 'completed'"),
        (table(server_list=[]), 4, 0, "server_list is no list of objects"),
        (table(server_list=[{"server_id": "127.0.0.1"}], server_count="1"), 4, 0, "device is no list of objects"),
    ],
)
def test_a_wrong_rank_table(tmp_path: Path, content: dict, workers: int, mine: int | None, message: str) -> None:
    with pytest.raises(InputError, match=f"table.json: {message}.*; write it for this job's hosts"):
        hosts.check_rank_table(write(tmp_path, content), workers, mine)


def test_a_rank_table_is_held_against_the_devices_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "HCCN", tmp_path / "hccn.conf")
    hosts.HCCN.write_text("address_0=192.168.0.0\nnetmask_0=255.255.255.0\naddress_1=192.168.0.1\n")
    hosts.check_rank_table(write(tmp_path, table()), 4, 0)
    hosts.HCCN.write_text("address_0=192.168.0.0\naddress_1=192.168.0.7\n")
    with pytest.raises(InputError, match="device 1 has device_ip 192.168.0.1, but .*hccn.conf says 192.168.0.7"):
        hosts.check_rank_table(write(tmp_path, table()), 4, 0)


def test_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert hosts.taken_ports([port]) == [port]
        monkeypatch.setattr(hosts, "PORT", port)
        with pytest.raises(InputError, match=f"port {port} is taken.*--master-port"):
            hosts.check_ports(ascend=False)
    assert hosts.taken_ports([port]) == []
    base = min(port, 65520 - hosts.HCCL_PORTS)
    monkeypatch.setenv("HCCL_IF_BASE_PORT", str(base))
    monkeypatch.setattr(hosts, "taken_ports", lambda ports: [base + 3] if base + 3 in ports else [])
    with pytest.raises(InputError, match=f"port {base + 3}, which HCCL needs"):
        hosts.check_ports(ascend=True)
    monkeypatch.setenv("HCCL_IF_BASE_PORT", "99999")
    with pytest.raises(InputError, match="HCCL_IF_BASE_PORT: '99999' is no port"):
        hosts.check_ports(ascend=True)


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        hosts.check_writable(tmp_path / "file/run")
    assert hosts.check_writable(tmp_path / "a/b/c") == f"{tmp_path} can be written to"
    assert tree(tmp_path) == {tmp_path / "file"}


# The whole


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_vehicles: Path) -> Callable[..., tuple[int, str, dict]]:
    """A dry run of poseestnet-tiny; returns exit code, what it prints, and its checks by name."""
    from posekit.doctor import dry_run

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:  # a port that no other test has
        monkeypatch.setattr(hosts, "PORT", server.getsockname()[1])

    def go(*settings: str, workers: int | None = None, **options: object) -> tuple[int, str, dict[str, Check]]:
        console, found = Console(file=io.StringIO(), width=160, record=True), {}
        monkeypatch.setattr(dry_run, "_table", lambda checks, plan: found.update({c.name: c for c in checks}) or "")
        given = {"data": tiny_vehicles, "out": tmp_path / "runs/x", "device": "cpu"} | options
        code = dry_run.dry_run(console, trials.Plan(recipe=override(TINY, list(settings)), **given), workers)
        return code, console.export_text(), found

    return go


def test_what_is_right_is_said_and_nothing_is_left(run: Callable, tmp_path: Path, tiny_vehicles: Path) -> None:
    before = tree(tmp_path, tiny_vehicles)
    code, text, found = run()
    assert code == 0 and "nothing was written" in text and all(check.ok for check in found.values())
    assert found["data"].detail == "24 training samples, 12 to validate with"
    assert "0.01 million values" in found["network"].detail
    assert "images (4, 3, 64, 64), heatmaps (4, 36, 16, 16)" in found["batches"].detail
    assert tree(tmp_path, tiny_vehicles) == before


def test_without_data_a_few_images_are_drawn_for_the_moment(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path / "home"))
    code, _, found = run("synthetic_train=1234", "synthetic_test=777", data=None)
    assert code == 0 and found["data"].detail == "1,234 training samples, 777 to validate with"
    assert tree(tmp_path) == set()


def test_a_missing_and_a_damaged_image(run: Callable, tmp_path: Path, tiny_vehicles: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_vehicles, data)
    (image, *_) = sorted((data / "images").rglob("*.jpg"))
    image.write_bytes(image.read_bytes()[:300])
    code, _, found = run(data=data)
    assert code == 2 and not found["images"].ok and image.name in found["images"].detail
    image.unlink()
    code, _, found = run(data=data)
    assert code == 2 and "images are missing" in found["data"].detail and "memory" not in found
    assert found["folder"].ok, "the rest is checked all the same"


def test_a_full_disk(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    full = namedtuple("usage", "total used free")(10**9, 10**9 - 10**6, 10**6)
    monkeypatch.setattr(trials, "disk_usage", lambda place: full)
    code, _, found = run()
    assert (
        code == 2 and not found["disk"].ok and "1 free" in found["disk"].detail and "make room" in found["disk"].remedy
    )


@linux
@pytest.mark.slow
def test_a_disk_that_is_really_full(run: Callable, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True)
    if mount.returncode:
        pytest.skip("only root may mount")
    try:
        code, _, found = run(out=small / "run")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert code == 2 and not found["disk"].ok and "No space left" in found["folder"].detail


def test_a_run_that_is_there(run: Callable, tmp_path: Path) -> None:
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/last.ckpt").touch()
    code, _, found = run()
    assert code == 2 and "already holds a run" in found["folder"].detail


def test_a_run_that_cannot_be_continued(run: Callable, tmp_path: Path, tiny_run: Path) -> None:
    """As `posekit train --resume` would say after the queue: another recipe, or other workers. Nothing is put aside."""
    there = Path(shutil.copytree(tiny_run, tmp_path / "there"))
    trained = json.loads((there / "recipe.json").read_text())
    changed = ("epochs", "validate_every", "learning_rate", "scale_factor", "rotation_probability", "flip_probability")
    same = [f"{name}={trained[name]}" for name in changed]
    code, _, found = run(*same, out=there, resume=True)
    assert code == 0 and found["resume"].detail == "continues after 72 updates"
    code, _, found = run(*same, out=there, resume=True, workers=2)
    assert code == 2 and "was trained by 1 workers, not 2" in found["resume"].detail
    code, _, found = run(out=there, resume=True)
    assert code == 2 and "was trained with " in found["resume"].detail and found["folder"].ok
    (there / "last.ckpt").write_bytes(b"damaged")
    before = tree(there)
    code, _, found = run(*same, out=there, resume=True)
    assert code == 2 and "last.ckpt" in found["resume"].detail and tree(there) == before
    assert "begins anew" in run(out=tmp_path / "new", resume=True)[2]["resume"].detail


@pytest.mark.parametrize("device", ["tpu", "gpu:x", ""])
def test_a_device_that_does_not_exist(run: Callable, device: str) -> None:
    with pytest.raises(InputError, match="unknown device"):
        run(device=device)


def test_weights_that_are_not_there(run: Callable, tmp_path: Path) -> None:
    code, _, found = run(pretrained=tmp_path / "none.pth")
    assert code == 2 and "none.pth" in found["network"].detail


CARD = """| 0     {:<19} | OK            | 97.6        52                0    / 0             |
| 0     0                   | 0000:C1:00.0  | 0           0    / 0          3525 / {}          |
"""


def test_a_batch_too_large_for_the_card(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card of 1.2 GB, of which 1 is never for a batch: what the remedy names fits, for as many images an update."""
    printed = {"npu-smi": CARD.format("910B3", 1200)}
    monkeypatch.setattr(accelerators, "_printed", lambda *command: printed.get(command[0], ""))
    code, _, found = run("batch=512", device="ascend")
    assert (
        code == 2
        and "batches" not in found
        and not found["memory"].ok
        and "a 910B3 here has 1.2 GB" in found["memory"].detail
    )
    fits, batches = (int(word.partition("=")[2]) for word in found["memory"].remedy.split()[1::2])
    assert 0 <= fits * batches - 512 < batches
    assert run(f"batch={fits}", device="ascend")[2]["memory"].ok


def test_an_ascend_that_is_not_here_is_planned_for(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_printed", lambda *command: "")
    monkeypatch.setenv("HCCL_IF_BASE_PORT", "21000")  # no port that the system gives to any connection
    code, _, found = run(device="ascend", workers=8)
    assert code == 0 and not found["device"].needed and not found["Ascend"].needed
    assert "910A 32 GB, 910B 32 or 64 GB, 910C 64 GB" in found["memory"].detail
    assert "8 devices x 4 images" in found["network"].detail and f"{hosts.PORT} is free" in found["ports"].detail
    assert "Ascend 910" in found["time"].detail


def test_a_chip_that_only_infers_is_no_place_to_train(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = {"npu-smi": CARD.format("310P3", 21527)}
    monkeypatch.setattr(accelerators, "_printed", lambda *command: printed.get(command[0], ""))
    code, _, found = run(device="ascend")
    assert code == 2 and found["chip"].needed and "train on a 910B" in found["chip"].remedy


def test_a_rank_table_of_the_environment(run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK_TABLE_FILE", str(write(tmp_path, table())))
    assert run(workers=4)[0] == 0
    code, _, found = run(workers=2)
    assert code == 2 and "not 0 to 1 for 2 workers" in found["rank table"].detail


def test_a_taken_port(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(hosts, "PORT", server.getsockname()[1])
        code, _, found = run(workers=2)
        assert code == 2 and "is taken" in found["ports"].detail
        assert run(workers=1)[0] == 0, "one worker needs none"


@pytest.mark.slow
def test_a_simulation_that_fails_is_a_note(run: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As here, where CANN's variable is set and its libraries are not there."""
    monkeypatch.setattr(accelerators, "_printed", lambda *command: "")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    code, _, found = run(device="ascend")
    assert code == 0 and "Unsupported device target Ascend" in found["simulation"].detail
    assert not found["simulation"].ok and "never tried" in found["simulation"].remedy


def test_a_simulation_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that prints what MindSpore's documentation shows."""
    from posekit.doctor import simulation

    log = "Device MOC memory size: 65536M\nActual peak memory usage (with fragments): 26244M\n"
    asked = {}

    def stand_in(command: list[str], **options: object) -> subprocess.CompletedProcess:
        asked.update(options)
        return subprocess.CompletedProcess(command, 0, log, "")

    monkeypatch.setattr(simulation.subprocess, "run", stand_in)
    check = simulation.simulate(TINY)
    assert check.ok and check.detail.endswith("MindSpore counts 25.6 GiB")
    assert asked["env"]["MS_SIMULATION_LEVEL"] == "1" and json.loads(asked["input"])["name"] == "poseestnet-tiny"


@pytest.mark.slow
def test_the_command(tmp_path: Path, tiny_vehicles: Path) -> None:
    command = [sys.executable, "-m", "posekit.cli", "train", "poseestnet-tiny", "--data", str(tiny_vehicles)]
    command += ["--device", "cpu", "--out", str(tmp_path / "run")]

    def done(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], capture_output=True, text=True, cwd=tmp_path, env=os.environ)

    good = done("--dry-run")
    assert good.returncode == 0 and "dry run of poseestnet-tiny, 1 device" in good.stdout, good.stderr
    wrong = done("--dry-run", "--pretrained", "none.pth")
    assert wrong.returncode == 2 and "[fail]" in wrong.stdout and "1 to put right" in wrong.stdout
    alone = done("--workers", "2")
    assert alone.returncode == 2 and "--workers: only for --dry-run" in alone.stderr
    assert tree(tmp_path) == set()
