"""Choosing the device, oneDNN's limit, and who gets Ctrl-C."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from posekit import runtime
from posekit.errors import InputError
from posekit.runtime import cores, cpu_flags, limit_onednn, memory_mb, set_up
from posekit.signals import ctrl_c, restore_handlers, uninterrupted

linux_x86 = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="oneDNN is limited on x86 Linux only"
)


def test_a_device_is_chosen_with_a_reason():
    import mindspore as ms

    chosen = set_up("cpu")
    assert (chosen.target, chosen.id) == ("CPU", 0) and chosen.threads == len(cores())
    assert ms.get_context("mode") == ms.GRAPH_MODE and ms.get_context("device_target") == "CPU"
    assert str(chosen).startswith("CPU:0 (asked for; ") and "oneDNN: " in str(chosen)


@pytest.mark.parametrize("name", ["tpu", "gpu:x", "", "ascend:"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(InputError, match="unknown device|finds no"):
        set_up(name)


def test_an_absent_device_is_refused():
    from mindspore import device_context

    if device_context.ascend.is_available():
        pytest.skip("this machine has an Ascend")
    with pytest.raises(InputError, match="device ascend:1: MindSpore finds no Ascend here; .*use --device cpu"):
        set_up("ascend:1")


def test_the_seed_makes_weights_repeatable():
    import numpy as np
    from mindspore import nn

    def weight(seed: int) -> np.ndarray:
        set_up("cpu", seed)
        return nn.Dense(8, 8).weight.asnumpy()

    assert np.array_equal(weight(3), weight(3)) and not np.array_equal(weight(3), weight(4))


def test_the_cache_of_graphs_stays_off(monkeypatch):
    monkeypatch.setenv("MS_COMPILER_CACHE_ENABLE", "1")
    set_up("cpu")
    assert "MS_COMPILER_CACHE_ENABLE" not in os.environ


def in_new_process(code: str, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("ONEDNN_MAX_CPU_ISA", "POSEKIT_ONEDNN")}
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, "PYTHONPATH": root, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LIMIT = "from posekit.runtime import limit_onednn; print(limit_onednn())"


@pytest.mark.slow
@linux_x86
def test_the_users_own_onednn_setting_wins():
    assert in_new_process(LIMIT, ONEDNN_MAX_CPU_ISA="AVX2") == "left alone: ONEDNN_MAX_CPU_ISA=AVX2 is set"
    assert in_new_process(LIMIT, POSEKIT_ONEDNN="untouched") == "left alone: POSEKIT_ONEDNN=untouched is set"


@pytest.mark.slow
@linux_x86
def test_onednn_is_limited_on_avx512_only():
    said = in_new_process(LIMIT)
    wide = re.search(r"\bavx512f\b", Path("/proc/cpuinfo").read_text()) is not None
    assert ("avx512f" in cpu_flags()) == wide
    assert said.startswith("limited to AVX2" if wide else "left alone: no AVX-512")


@pytest.mark.slow
@linux_x86
def test_the_library_takes_the_limit(monkeypatch):
    """On any x86 machine MindSpore's own oneDNN accepts it, before its first operation."""
    code = "import posekit.runtime as r; r.cpu_flags = lambda: {'avx512f'}; print(r.limit_onednn())"
    assert in_new_process(code) == "limited to AVX2, whose kernels are faster here"


def test_the_limit_is_decided_once(monkeypatch):
    first = limit_onednn()
    monkeypatch.setattr(runtime, "cpu_flags", lambda: {"avx512f"})
    assert limit_onednn() == first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_interrupts_and_then_all_is_as_before(number):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ctrl_c():
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 1)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_must_be_whole_is_not_interrupted(number):
    """The signals wait until the block is over, and come once."""
    reached = []
    with pytest.raises(KeyboardInterrupt), ctrl_c():
        with uninterrupted():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 0.1)
            reached.append("the end of the block")
        reached.append("what follows")
    assert reached == ["the end of the block"]
    with ctrl_c(), uninterrupted():
        pass  # nothing is left of them
    with pytest.raises(ValueError), ctrl_c(), uninterrupted():
        os.kill(os.getpid(), number)
        raise ValueError("an error of the block's own comes first")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_knows_its_memory():
    """In 10^6 bytes, as the kernel's status file has it."""
    set_up("cpu")
    found, lines = memory_mb(), Path("/proc/self/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))  # KiB
    assert found == pytest.approx(resident * 1024 / 1e6, rel=0.01)


def test_ctrl_c_interrupts_after_a_graph_has_run():
    """MindSpore's graph executor installs a handler of its own, which would end the process."""
    import mindspore as ms
    import numpy as np
    from mindspore import nn

    set_up("cpu")
    with pytest.raises(KeyboardInterrupt), ctrl_c():
        nn.Dense(3, 2)(ms.Tensor(np.zeros((2, 3), np.float32)))
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 2)


def test_another_thread_gives_ctrl_c_back():
    """As the data pipeline's workers do, after C code has installed its own handlers: here, to ignore both signals."""
    ignore = ctypes.create_string_buffer(1024)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    ctypes.CDLL(None).sigaction(signal.SIGUSR2, None, ignore)
    with pytest.raises(KeyboardInterrupt), ctrl_c():
        for number in (signal.SIGINT, signal.SIGTERM):
            ctypes.CDLL(None).sigaction(number, ignore, None)
        os.kill(os.getpid(), signal.SIGINT)  # is lost
        thread = threading.Thread(target=restore_handlers)
        thread.start()
        thread.join()
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 2)
        pytest.fail("not interrupted")
