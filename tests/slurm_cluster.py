"""A Slurm of its own for tests: emulated nodes on this machine, with ports and files that touch no other Slurm."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel", "sinfo")
CONFIGURATION = """
ClusterName=posekit
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=86400
MessageTimeout=60
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}] CPUs=4
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A running Slurm; its commands find it by the environment."""

    environment: dict[str, str]

    def command(self, *words: str, cwd: Path | None = None) -> str:
        """Run one of Slurm's commands; returns what it prints."""
        done = subprocess.run(words, env=self.environment, cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def submit(self, *words: str, cwd: Path) -> str:
        """sbatch with these arguments in the folder `cwd`; returns the job's number."""
        return self.command("sbatch", "--parsable", *words, cwd=cwd).strip()

    def states(self, job: str) -> dict[str, str]:
        """State of each task of the job, COMPLETED for example, by its number in the array (N/A without one)."""
        lines = self.command("squeue", "--noheader", "--array", "--states=all", f"--job={job}", "--format=%K %T")
        return dict(line.split() for line in lines.splitlines())

    def wait(self, job: str, done: Callable[[dict[str, str]], bool], seconds: float = 240) -> dict[str, str]:
        """The states as soon as `done` accepts them."""
        end = time.monotonic() + seconds
        while not done(states := self.states(job)):
            assert time.monotonic() < end, f"job {job} after {seconds:.0f} s: {states}"
            time.sleep(0.3)
        return states


def ended(states: dict[str, str]) -> bool:
    """Has every task ended?"""
    return not set(states.values()) & {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"}


@contextmanager
def slurm(nodes: int = 2) -> Iterator[Slurm]:
    """Start munge, the controller and the nodes; all end with the block. Skips the test where that cannot be done."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=_path())]
    if missing:
        pytest.skip(f"no {missing[0]}; on Debian: apt-get install slurmctld slurmd slurm-client munge")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)  # munge wants its socket where everybody can reach it
        cluster = Slurm({**os.environ, "PATH": _path(), "SLURM_CONF": str(_configure(folder, nodes))})
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        commands = [["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge]]
        commands += [["slurmctld", "-D"], *(["slurmd", "-D", "-N", f"n{n + 1}"] for n in range(nodes))]
        for command in commands:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            stack.callback(_end, process := subprocess.Popen(command, env=cluster.environment, **quiet))
            _await_socket(folder / "munge.socket", process)  # through which the others speak with each other
        _await_nodes(cluster, nodes, folder)
        stack.callback(cluster.command, "scancel", f"--user={getpass.getuser()}")
        yield cluster


def _path() -> str:
    """This environment's programs first, and the system's daemons."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/sbin"])


def _configure(folder: Path, nodes: int) -> Path:
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    host, user, ports = socket.gethostname().split(".")[0], getpass.getuser(), _free_ports(nodes)
    text = CONFIGURATION.format(folder=folder, host=host, user=user, nodes=nodes, ports=ports)
    (folder / "slurm.conf").write_text(text)
    return folder / "slurm.conf"


def _free_ports(nodes: int) -> tuple[int, int, int]:
    """A port for the controller, and the first and last of a range for the nodes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        first = min(probe.getsockname()[1], 65000)
    return first, first + 1, first + nodes


def _await_socket(path: Path, process: subprocess.Popen) -> None:
    end = time.monotonic() + 20
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def _await_nodes(cluster: Slurm, nodes: int, folder: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done = subprocess.run(["sinfo", "-ho", "%t %D"], env=cluster.environment, capture_output=True, text=True)
        if done.stdout.strip() == f"idle {nodes}":
            return
        time.sleep(0.2)
    log = folder / "slurmctld.log"
    said = log.read_text().strip().splitlines()[-1:] if log.is_file() else [done.stderr.strip()]
    pytest.skip(f"Slurm did not start within 20 s: {' '.join(said)}")


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
