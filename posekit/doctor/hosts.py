"""What can be wrong between the hosts of a training: the rank table, ports, and folders that not all of them see."""

import os
import re
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

from posekit.errors import InputError, shown
from posekit.files import read_json, writing
from posekit.training.ranks import gathered_texts, rank

PORT = 8118  # scripts/distributed.sh's own, where the workers meet
PROBE_BYTES = 2**20  # that a folder must take
HCCL_PORTS = 32  # that HCCL takes on a host, from HCCL_IF_BASE_PORT on; 16 before CANN 8.2
HCCN = Path("/etc/hccn.conf")  # address_0=…: the network address of each Ascend device of this host
_REMEDY = "write it for this job's hosts, or leave out --rank-table where the driver knows its addresses"


def is_local(address: str) -> bool:
    """Whether this host has that network address."""
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(kind, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def taken_ports(ports: Iterable[int]) -> list[int]:
    """Those of the ports that a program on this host listens on."""
    taken = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # also after a connection that has just ended
            try:
                probe.bind(("", port))
            except OSError:
                taken.append(port)
    return taken


def check_ports(ascend: bool) -> str:
    """Check on the first host that the ports of a job are free; InputError names those that aren't."""
    base = os.environ.get("HCCL_IF_BASE_PORT", "60000")
    if ascend and not (base.isdigit() and 1024 <= int(base) <= 65520):
        raise InputError(f"HCCL_IF_BASE_PORT: {shown(base)} is no port from 1024 to 65520; unset it")
    hccl = range(int(base), int(base) + HCCL_PORTS) if ascend else range(0)
    if taken_ports([PORT]):
        raise InputError(
            f"port {PORT} is taken, perhaps by another training; give distributed.sh another --master-port"
        )
    if taken := taken_ports(hccl):
        what = ", ".join(map(str, taken))
        raise InputError(f"port {what}, which HCCL needs, is taken; set HCCL_IF_BASE_PORT to the first of 32 free ones")
    return f"{PORT} is free" + (f", and so are HCCL's, {hccl[0]} to {hccl[-1]}" if ascend else "")


def check_rank_table(path: Path, workers: int, mine: int | None) -> str:
    """Check a rank table's form, its ranks, and its addresses against this host, which is to run rank `mine`.

    Without `mine`, this need not be one of the hosts. InputError says what is wrong.
    """
    table = read_json(path, _REMEDY)
    servers = _listed(path, table, "server_list")
    for name, wanted in (("version", "1.0"), ("status", "completed"), ("server_count", str(len(servers)))):
        if table.get(name) != wanted:
            raise _wrong(path, f"{name} is {shown(table.get(name))}, not {wanted!r}")
    devices = {id(server): _listed(path, server, "device") for server in servers}
    for server in servers:
        _address(path, server, "server_id")
        _distinct(path, "device_id", [_number(path, device, "device_id") for device in devices[id(server)]])
    everything = [device for found in devices.values() for device in found]
    _distinct(path, "device_ip", [_address(path, device, "device_ip") for device in everything])
    _distinct(path, "server_id", [server["server_id"] for server in servers])
    ranks = sorted(_number(path, device, "rank_id") for device in everything)
    if ranks != list(range(workers)):
        raise _wrong(path, f"the ranks are {shown(ranks)}, not 0 to {workers - 1} for {workers} workers")
    here = [server for server in servers if is_local(server["server_id"])]
    if mine is not None and all(int(d["rank_id"]) != mine for server in here for d in devices[id(server)]):
        owner = next(s for s in servers if any(int(d["rank_id"]) == mine for d in devices[id(s)]))
        raise _wrong(path, f"rank {mine} runs on {socket.gethostname()}, which doesn't have {owner['server_id']}")
    for server in here:
        _check_devices(path, devices[id(server)])
    local = f"this is {here[0]['server_id']}" if here else "this host is none of them, so addresses weren't compared"
    return f"{path}: {len(servers)} hosts, {workers} ranks; {local}"


def _check_devices(path: Path, devices: list[dict]) -> None:
    """Compare the addresses of this host's devices with its own file, where it has one."""
    text = HCCN.read_text(encoding="utf-8") if HCCN.is_file() else ""
    own = dict(re.findall(r"^address_(\d+)=(\S+)", text, re.MULTILINE))
    for device in devices:
        number, address = device["device_id"], device["device_ip"]
        if own and own.get(number) != address:
            raise _wrong(path, f"device {number} has device_ip {address}, but {HCCN} says {own.get(number, 'nothing')}")


def _wrong(path: Path, what: str) -> InputError:
    return InputError(f"{path}: {what}; {_REMEDY}")


def _listed(path: Path, holder: dict, name: str) -> list[dict]:
    found = holder.get(name)
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) for entry in found):
        raise _wrong(path, f"{name} is no list of objects")
    return found


def _number(path: Path, holder: dict, name: str) -> int:
    value = holder.get(name)
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,5}", value):
        raise _wrong(path, f'{name} is {shown(value)}, not a number in quotes, as "0"')
    return int(value)


def _address(path: Path, holder: dict, name: str) -> str:
    value = holder.get(name)
    try:
        return str(ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        raise _wrong(path, f"{name} is {shown(value)}, no network address") from None


def _distinct(path: Path, name: str, values: list) -> None:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise _wrong(path, f"{name} {twice[0]} is there twice")


def existing(path: Path) -> Path:
    """The path itself if it is there, else the nearest folder above it that is."""
    path = Path(os.path.abspath(path))
    return next(place for place in (path, *path.parents) if os.path.exists(place))


def check_writable(out: Path) -> str:
    """Check that a file can be written where `out` is or will be; it is removed again. InputError if it can't."""
    place = existing(out)
    probe = place / f".posekit-{uuid4().hex}"
    try:
        with writing(place):
            probe.write_bytes(bytes(PROBE_BYTES))
    finally:
        with suppress(OSError):
            probe.unlink()
    return f"{place} can be written to"


def check_same_folder(out: Path, seconds: float = 10) -> str:
    """Check that every rank sees a file that rank 0 writes where `out` is or will be, within so many seconds.

    All ranks must call this, and all get the same answer: InputError with the ranks that don't see it. The file is
    removed again.
    """
    place = existing(out)
    mark = place / f".posekit-{uuid4().hex}"
    try:
        if rank() == 0:
            with suppress(OSError):  # `check_writable` says why
                mark.touch()
        first = place / gathered_texts(mark.name)[0]
        sees = "yes" if _appears(first, seconds if rank() else 0) else "no"
        told = [text.split("\t") for text in gathered_texts(f"{socket.gethostname()} (rank {rank()})\t{sees}")]
    finally:
        with suppress(OSError):
            mark.unlink()
    blind = [who for who, answer in told if answer == "no"]
    if blind:
        what = f"{', '.join(blind)} can't see what {told[0][0]} writes there"
        raise InputError(f"{out}: {what}; give a folder that all hosts share")
    return f"{', '.join(who for who, _ in told)} see {out}"


def _appears(file: Path, seconds: float) -> bool:
    """Whether the file is there, or comes within that time: network drives take a while to show a new file."""
    end = time.monotonic() + seconds
    while not os.path.exists(file):
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
