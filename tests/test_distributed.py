"""Several workers: the lines that start them, what they compute together, and how they end. Two of them are real."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from posekit.errors import InputError
from posekit.recipes import Recipe, get_recipe
from posekit.settings import override

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts/distributed.sh"
SETTINGS = ["epochs=8", "validate_every=4", "clip_norm=0.5"]  # of 3 updates each, by 2 workers with 4 images
posix = pytest.mark.skipif(sys.platform != "linux", reason="the launcher is for Linux")


def launch(*arguments: str | Path, prefix: tuple[str, ...] = (), **environment: str) -> subprocess.Popen:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen(
        [*prefix, "bash", str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def printed(*arguments: str) -> str:
    job = launch(*arguments)
    out, _ = job.communicate(timeout=20)
    assert job.returncode == 0, out
    return out.strip()


# The lines that HARDWARE needs: one host's 8 devices, with HCCL or NCCL as --device says; a rank table; 2 hosts.
COMMON = "--join=True --cluster_time_out=300 --tail_worker_log=0"
TRAIN = "python -m posekit.cli train poseestnet --data data/veri --out runs/veri"
ONE_HOST = (
    "msrun --worker_num=8 --local_worker_num=8 --master_addr=127.0.0.1 --master_port=8118 --node_rank=0 "
    f"--log_dir=runs/veri/logs {COMMON} "
)
ARGUMENTS = ["poseestnet", "--data", "data/veri", "--out", "runs/veri"]


@pytest.mark.slow
@posix
@pytest.mark.parametrize("device", ["ascend", "gpu"])
def test_the_line_for_8_devices(device: str) -> None:
    assert printed("--workers", "8", "--print", "--", *ARGUMENTS, "--device", device) == (
        f"{ONE_HOST}{TRAIN} --device {device}"
    )


@pytest.mark.slow
@posix
def test_the_line_with_a_rank_table(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text("{}")
    line = printed("--workers", "8", "--rank-table", str(table), "--print", "--", *ARGUMENTS)
    assert line == f"{ONE_HOST}--rank_table_file={table} {TRAIN}"


@pytest.mark.slow
@posix
@pytest.mark.parametrize("host", ["0", "1"])
def test_the_lines_for_2_hosts(host: str) -> None:
    options = ["--workers", "16", "--local-workers", "8", "--master-addr", "10.0.0.1", "--node-rank", host]
    assert printed(*options, "--master-port", "9000", "--print", "--", *ARGUMENTS) == (
        "msrun --worker_num=16 --local_worker_num=8 --master_addr=10.0.0.1 --master_port=9000 "
        f"--node_rank={host} --log_dir=runs/veri/logs {COMMON} {TRAIN}"
    )


@pytest.mark.slow
@posix
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("-- poseestnet --out x", "give --workers"),
        ("--workers 2", "give -- and what posekit train takes"),
        ("--workers two -- poseestnet --out x", "give --workers, the number"),
        ("--workers 2 --devices 2 -- poseestnet --out x", "unknown option --devices"),
        ("--workers 3 --local-workers 2 -- poseestnet --out x", "3 workers are not a multiple of 2"),
        ("--workers 4 --local-workers 2 -- poseestnet --out x", "several hosts need --master-addr"),
        ("--workers 4 --local-workers 2 --node-rank 2 -- poseestnet --out x", "give a host from 0 to 1"),
        ("--workers 2 --rank-table none.json -- poseestnet --out x", "none.json: no such rank table"),
        ("--workers -- poseestnet --out x", "--workers needs a value"),
    ],
)
def test_bad_options_are_refused(options: str, message: str, tmp_path: Path) -> None:
    job = launch(*options.split())
    out, _ = job.communicate(timeout=20)
    assert job.returncode == 2 and message in out and len(out.splitlines()) == 1


@pytest.mark.slow
@posix
def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        job = launch("--workers", "2", "--master-port", port, "--", "poseestnet-tiny", "--out", tmp_path / "run")
        out, _ = job.communicate(timeout=20)
    assert job.returncode == 2 and f"port {port} of 127.0.0.1 is taken" in out


# What a rank does, without the others


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch):
    """Be rank `rank` of `ranks`."""
    from posekit.training import ranks as module

    def become(rank: int, ranks: int) -> None:
        monkeypatch.setattr(module, "rank", lambda: rank)
        monkeypatch.setattr(module, "ranks", lambda: ranks)

    return become


@pytest.mark.parametrize(("count", "ranks"), [(12, 2), (13, 4), (2, 3)])
def test_shares_joined_in_order_are_the_split(count: int, ranks: int, as_rank, tiny_vehicles: Path) -> None:
    from posekit.layouts import open_split
    from posekit.training.ranks import share

    split = open_split(get_recipe("poseestnet-tiny"), tiny_vehicles, "train").take(range(count))
    names, keypoints = [], []
    for rank in range(ranks):
        as_rank(rank, ranks)
        part = share(split)
        assert len(part) == -(-count // ranks), "every rank sends as many"
        names += part.names
        keypoints.append(part.keypoints)
        np.testing.assert_array_equal(part[0].image, split.image(split.names.index(part.names[0])))
    assert names[:count] == split.names
    np.testing.assert_array_equal(np.concatenate(keypoints)[:count], split.keypoints)


def test_average_is_the_mean_over_ranks(as_rank, monkeypatch: pytest.MonkeyPatch) -> None:
    import mindspore as ms

    from posekit.runtime import set_up
    from posekit.training import ranks

    set_up("cpu")
    as_rank(0, 2)
    monkeypatch.setattr(ranks, "gathered", lambda array: np.concatenate([array, array + 2]))
    parameters = [ms.Parameter(np.full(shape, 3, np.float32), name=str(shape)) for shape in ((2, 3), (4,))]
    ranks.average(parameters)
    assert [p.shape for p in parameters] == [(2, 3), (4,)] and all((p.asnumpy() == 4).all() for p in parameters)


def test_alone_nothing_is_shared(tiny_vehicles: Path) -> None:
    from posekit.runtime import set_up
    from posekit.training import ranks

    set_up("cpu")
    array = np.arange(6.0).reshape(2, 3)
    assert (ranks.rank(), ranks.ranks()) == (0, 1) and ranks.gathered(array) is array


def test_a_rank_takes_no_device_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from posekit.runtime import set_up

    monkeypatch.setenv("MS_ROLE", "MS_WORKER")
    with pytest.raises(InputError, match="device gpu:1: each rank has its own device; leave out :1"):
        set_up("gpu:1")


# Two real workers


class Job:
    """scripts/distributed.sh with two workers on the CPU, as one host or as one of two."""

    def __init__(self, out: Path, data: Path, *options: str | Path, prefix: tuple[str, ...] = (), resume: bool = False):
        settings = [word for setting in SETTINGS for word in ("--set", setting)]
        train = ["poseestnet-tiny", "--data", data, "--out", out, "--device", "cpu", *settings]
        train += ["--resume"] * resume
        self.out = out
        self.process = launch("--workers", "2", *options, "--", *train, prefix=prefix, GLOG_v="4")

    def reach(self, step: int) -> None:
        """Wait for that update."""
        for _ in range(6000):
            assert self.process.poll() is None, self.process.communicate()[0]
            if last_step(self.out) >= step:
                return
            time.sleep(0.05)
        pytest.fail(f"step {step} was not reached")

    def end(self, seconds: float) -> tuple[int, str]:
        """Wait for the end; returns exit code and output."""
        try:
            text, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        return self.process.returncode, text


def last_step(out: Path) -> int:
    log = out / "log.csv"
    return int(pd.read_csv(log)["step"].max()) if log.exists() else 0


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def worker_process(out: Path, rank: int) -> int:
    first = (out / f"logs/worker_{rank}.log").read_text().splitlines()[0]
    assert re.fullmatch(rf"rank {rank} of 2 on \S+, process \d+", first)
    return int(first.split()[-1])


@pytest.fixture(scope="module")
def killed(tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, float]:
    """A job whose second worker is killed: its folder, exit code, output, and how many seconds it still took."""
    out = tmp_path_factory.mktemp("ranks") / "run"
    job = Job(out, tiny_vehicles, "--master-port", free_port())
    job.reach(4)
    os.kill(worker_process(out, 1), signal.SIGKILL)
    began = time.monotonic()
    code, text = job.end(100)
    return out, code, text, time.monotonic() - began


@pytest.fixture(scope="module")
def together(killed: tuple, tiny_vehicles: Path) -> Path:
    """The same job resumed, to its end."""
    out = killed[0]
    code, text = Job(out, tiny_vehicles, "--master-port", free_port(), resume=True).end(300)
    assert code == 0, text
    return out


@pytest.fixture(scope="module")
def alone(tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One worker that accumulates two batches."""
    from posekit.training.loop import run

    out = tmp_path_factory.mktemp("rank") / "run"
    run(one_worker(), tiny_vehicles, out, "cpu")
    return out


def one_worker() -> Recipe:
    return override(get_recipe("poseestnet-tiny"), [*SETTINGS, "accumulate=2"])


@pytest.mark.machine
@posix
def test_a_dead_worker_ends_the_job(killed: tuple) -> None:
    out, code, text, seconds = killed
    assert code == 128 + signal.SIGKILL and seconds < 60
    _, excerpt = text.split("the worker of rank 1 ended with code -9; its log:\n")
    assert excerpt == (out / "logs/worker_1.log").read_text()
    for rank in (0, 1):
        with pytest.raises(ProcessLookupError):
            os.kill(worker_process(out, rank), 0)


@pytest.mark.machine
@posix
def test_two_workers_equal_one_that_accumulates(together: Path, alone: Path) -> None:
    """The same losses and trainable weights over 24 updates, after a kill and a resumption at that."""
    from posekit.models.checkpoint import load_network

    many, one = (pd.read_csv(out / "log.csv") for out in (together, alone))
    assert many["step"].tolist() == one["step"].tolist() == list(range(1, 25))
    np.testing.assert_allclose(many["loss"], one["loss"], rtol=1e-4)
    np.testing.assert_allclose(many["loss"], many[["loss_0", "loss_1"]].mean(axis=1), rtol=1e-4)
    assert (many["loss_0"] != many["loss_1"]).all(), "each has images of its own"
    networks = [load_network(out / "last.ckpt").network for out in (together, alone)]
    for two, wanted in zip(*(network.trainable_params() for network in networks), strict=True):
        value = wanted.asnumpy()
        np.testing.assert_allclose(two.asnumpy(), value, 1e-4, 1e-4 * np.abs(value).max(), err_msg=two.name)


@pytest.mark.machine
@posix
def test_a_run_goes_on_with_as_many_workers(together: Path, tiny_vehicles: Path) -> None:
    from posekit.training.loop import run

    recipe = override(get_recipe("poseestnet-tiny"), SETTINGS)
    with pytest.raises(InputError, match="was trained by 2 workers, not 1; resume with as many"):
        run(recipe, tiny_vehicles, together, "cpu", resume=True)


@pytest.mark.machine
@posix
def test_only_the_first_rank_saves_what_all_agree_on(together: Path) -> None:
    digests = [re.findall(r"step (\d+): weights (\w+)", log.read_text()) for log in logs(together)]
    assert digests[0] == digests[1] and digests[0][-1][0] == "24"
    names = {"recipe.json", "log.csv", "curves.png", "best.ckpt", "last.ckpt", "manifest.json", "logs"}
    assert {path.name for path in together.iterdir()} == names


def logs(out: Path) -> list[Path]:
    return sorted((out / "logs").glob("worker_*.log"))


@pytest.mark.machine
@posix
def test_evaluation_in_parts_is_that_of_the_whole(together: Path, tiny_vehicles: Path) -> None:
    from posekit.layouts import open_split
    from posekit.models.checkpoint import load_network
    from posekit.training.loop import validate

    model = load_network(together / "last.ckpt")
    recipe, network = model.recipe, model.network
    found, _ = validate(network, recipe, open_split(recipe, tiny_vehicles, "test"))
    assert pd.read_csv(together / "log.csv")["valid_pck"].iloc[-1] == pytest.approx(found, rel=1e-4)


# Two hosts


@pytest.fixture
def hosts() -> Iterator[list[tuple[str, ...]]]:
    """Two network namespaces that a cable joins: the prefix that runs a command in each."""
    ip = shutil.which("ip")
    names = [f"posekit{os.getpid()}{end}" for end in "ab"]

    def network(*words: str) -> None:
        done = subprocess.run([ip or "ip", *words], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no network namespaces here: ip {' '.join(words)}: {done.stderr.strip()}")

    if ip is None:
        pytest.skip("the command ip (Debian: iproute2) is missing")
    try:
        for name in names:
            network("netns", "add", name)
        network("link", "add", names[0], "netns", names[0], "type", "veth", "peer", "name", names[1], "netns", names[1])
        for number, name in enumerate(names, 1):
            network("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", name)
            network("-n", name, "link", "set", name, "up")
            network("-n", name, "link", "set", "lo", "up")
        yield [(ip, "netns", "exec", name) for name in names]
    finally:
        for name in names:
            subprocess.run([ip, "netns", "delete", name], capture_output=True)


@pytest.mark.machine
@posix
def test_two_hosts_stop_together(hosts: list, together: Path, tiny_vehicles: Path, tmp_path: Path) -> None:
    """They compute what one host computes. A queue's SIGTERM on one of them lets both save and stop."""
    out = tmp_path / "run"
    options = ["--local-workers", "1", "--master-addr", "10.77.0.1", "--node-rank"]
    jobs = [Job(out, tiny_vehicles, *options, str(rank), prefix=prefix) for rank, prefix in enumerate(hosts)]
    jobs[0].reach(4)
    jobs[1].process.send_signal(signal.SIGTERM)
    for job in jobs:
        code, text = job.end(100)
        assert code == 75 and re.search(r"interrupted at step \d+ of 24; .*continue with --resume", text), text
    assert (out / "last.ckpt").exists() and not (out / "manifest.json").exists()
    some, all_ = (pd.read_csv(folder / "log.csv") for folder in (out, together))
    np.testing.assert_array_equal(some["loss"], all_["loss"][: len(some)])


@pytest.mark.machine
@posix
def test_a_dead_worker_ends_both_hosts(hosts: list, tiny_vehicles: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--local-workers", "1", "--master-addr", "10.77.0.1", "--node-rank"]
    jobs = [Job(out, tiny_vehicles, *options, str(rank), prefix=prefix) for rank, prefix in enumerate(hosts)]
    jobs[0].reach(4)
    os.kill(worker_process(out, 1), signal.SIGKILL)
    (code, _), (other, text) = jobs[1].end(100), jobs[0].end(100)  # half a minute on a machine that is not busy
    assert (code, other) == (128 + signal.SIGKILL, 128 + signal.SIGTERM)
    assert "the other ranks do not answer; ended without saving; continue with --resume" in text
