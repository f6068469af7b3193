"""posekit train --dry-run by scripts/distributed.sh: two real ranks, on one host and on two network namespaces."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from test_distributed import free_port, hosts, launch, posix  # noqa: F401

pytestmark = [pytest.mark.machine, posix]


def end(job: subprocess.Popen) -> tuple[int, str]:
    text, _ = job.communicate(timeout=200)
    return job.returncode, text


def words(data: Path, out: Path, *more: str) -> list[str]:
    return ["--", "poseestnet-tiny", "--data", str(data), "--out", str(out), "--device", "cpu", "--dry-run", *more]


def temporary() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("tmp.*"))


def test_two_ranks_say_what_they_see_and_leave_nothing(tiny_vehicles: Path, tmp_path: Path) -> None:
    before = temporary()
    code, text = end(launch("--workers", "2", "--master-port", free_port(), *words(tiny_vehicles, tmp_path / "run")))
    assert code == 0, text
    assert len(re.findall("dry run of poseestnet-tiny, 2 devices", text)) == 1, "one table"
    assert re.search(r"same folder.* \(rank 0\), \S+ \(rank 1\) see", text) and "[fail]" not in text
    assert list(tmp_path.iterdir()) == [] and temporary() <= before


def test_what_is_wrong_on_both_ranks_is_said_once(tiny_vehicles: Path, tmp_path: Path) -> None:
    job = launch("--workers", "2", "--master-port", free_port(), *words(tmp_path / "none", tmp_path / "run"))
    code, text = end(job)
    assert code == 2 and text.count("[fail]") == 1 and "1 to put right" in text, text
    assert "distributed.sh: the worker" not in text and list(tmp_path.iterdir()) == []


def test_a_rank_table_for_another_host(tiny_vehicles: Path, tmp_path: Path) -> None:
    devices = [{"device_id": str(n), "device_ip": f"192.168.0.{n}", "rank_id": str(n)} for n in (0, 1)]
    table = {"version": "1.0", "server_count": "1", "status": "completed"}
    table["server_list"] = [{"server_id": "203.0.113.9", "device": devices}]
    (tmp_path / "table.json").write_text(json.dumps(table))
    options = ["--workers", "2", "--rank-table", str(tmp_path / "table.json"), "--master-port", free_port()]
    code, text = end(launch(*options, *words(tiny_vehicles, tmp_path / "run")))
    assert code == 2 and re.search("rank 0 runs on .*203.0.113.9", " ".join(text.replace("│", " ").split())), text
    assert "rank table, rank 1 on" in text


@pytest.mark.parametrize("hidden", ["run", "data"])
def test_a_folder_that_the_second_host_does_not_see(
    hosts: list,  # noqa: F811
    hidden: str,
    tiny_vehicles: Path,
    tmp_path: Path,
) -> None:
    """The second host has another file system in its place."""
    shutil.copytree(tiny_vehicles, tmp_path / "data")
    (tmp_path / "run").mkdir()
    other = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', str(tmp_path / hidden)]
    if subprocess.run([*other, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    options = ["--workers", "2", "--local-workers", "1", "--master-addr", "10.77.0.1", "--node-rank"]
    train = words(tmp_path / "data", tmp_path / "run")
    jobs = [
        launch(*options, "0", *train, prefix=hosts[0]),
        launch(*options, "1", *train, prefix=(*hosts[1], *other)),
    ]
    ends = [end(job) for job in jobs]
    assert [code for code, _ in ends] == [2, 2], ends
    wrong = {"run": r"can't see what \S+ \(rank 0\) writes", "data": "rank 1 has other data than rank 0, or none"}
    for _, text in ends:
        assert re.search(wrong[hidden], " ".join(text.replace("│", " ").split())), text
        assert hidden == "run" or "data, rank 1 on" in text
    assert list((tmp_path / "run").iterdir()) == []
