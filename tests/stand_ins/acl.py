"""A stand-in for CANN's Python module `acl` that holds to its documentation (CANN 8.0, "pyACL API reference").

It checks the order of calls, argument types, addresses and directions of copies, returns values and codes as documented
((value, ret), ret or value alone), and at `finalize` that everything was given back. An OM file is an ONNX file here,
run by ONNX Runtime. $ACL_FAILS names a function, as mdl.execute, that returns 507011; $ACL_TYPE is the output's type.
"""

import ctypes
import os
from types import SimpleNamespace

import numpy as np
import onnxruntime

HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2
TYPES = {0: np.float32, 1: np.float16}
OUT = int(os.environ.get("ACL_TYPE", "0"))
_device, _host, _handles, _state = {}, {}, {}, {"ready": False, "device": None, "model": None}
_count = iter(range(1, 10**6))


def _code(name):
    """The documented 0, or the error that a test asks for."""
    return 507011 if os.environ.get("ACL_FAILS") == name else 0


def _int(*values):
    assert all(type(value) is int for value in values), f"addresses, sizes and handles are int, not {values}"


def _new(kind, **content):
    handle = next(_count)
    _handles[handle] = SimpleNamespace(kind=kind, **content)
    return handle


def _get(handle, kind):
    _int(handle)
    assert handle in _handles and _handles[handle].kind == kind, f"{handle} is no {kind}"
    return _handles[handle]


def _drop(handle, kind):
    _get(handle, kind)
    del _handles[handle]
    return 0


def init(config_path=""):
    """ret = acl.init(config_path): once in a process."""
    assert isinstance(config_path, str) and not _state["ready"]
    _state["ready"] = True
    return _code("init")


def finalize():
    """ret = acl.finalize()"""
    assert _state == {"ready": True, "device": None, "model": None}, "unload the model and reset the device first"
    assert not (_device or _host or _handles), f"not given back: {_device.keys()} {_host.keys()} {_handles}"
    return 0


def get_recent_err_msg():
    """err_msg = acl.get_recent_err_msg()"""
    return "E39999: inner error"


def create_data_buffer(data, size):
    """data_buffer = acl.create_data_buffer(data, size)"""
    _int(data, size)
    assert len(_device[data]) == size
    return _new("buffer", address=data)


def destroy_data_buffer(data_buffer):
    """ret = acl.destroy_data_buffer(data_buffer)"""
    return _drop(data_buffer, "buffer")


def _set_device(device_id):
    _int(device_id)
    assert _state["ready"]
    _state["device"] = device_id
    return _code("rt.set_device")


def _reset_device(device_id):
    assert _state["device"] == device_id
    _state["device"] = None
    return 0


def _malloc(size, policy):
    _int(size, policy)
    assert size > 0 and policy in (0, 1, 2) and _state["device"] is not None
    if code := _code("rt.malloc"):
        return 0, code
    address = 2**50 + 2**20 * next(_count)  # nowhere in this process
    _device[address] = bytearray(size)
    return address, 0


def _free(address):
    _int(address)
    assert not any(it.kind == "buffer" and it.address == address for it in _handles.values()), "a buffer uses it"
    del _device[address]
    return 0


def _malloc_host(size):
    _int(size)
    if code := _code("rt.malloc_host"):
        return 0, code
    memory = ctypes.create_string_buffer(size)
    _host[ctypes.addressof(memory)] = memory
    return ctypes.addressof(memory), 0


def _free_host(address):
    del _host[address]
    return 0


def _memcpy(dst, dest_max, src, count, kind):
    _int(dst, dest_max, src, count, kind)
    assert 0 < count <= dest_max
    if kind == HOST_TO_DEVICE:
        assert dest_max <= len(_device[dst])
        _device[dst][:count] = ctypes.string_at(src, count)
    else:
        assert kind == DEVICE_TO_HOST and dest_max <= len(_host[dst]) and count <= len(_device[src])
        ctypes.memmove(dst, bytes(_device[src][:count]), count)
    return _code("rt.memcpy")


def _bytes_to_ptr(data):
    assert isinstance(data, bytes)
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value


def _ptr_to_bytes(ptr, size):
    _int(ptr, size)
    assert size <= len(_host[ptr])
    return ctypes.string_at(ptr, size)


def _load_from_file(path):
    assert isinstance(path, str) and _state["device"] is not None and _state["model"] is None
    _state["model"] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return 7, _code("mdl.load_from_file")


def _unload(model_id):
    assert model_id == 7 and _state["model"]
    _state["model"] = None
    return 0


def _get_desc(desc, model_id):
    assert model_id == 7
    session = _state["model"]
    found = _get(desc, "desc")
    found.shapes = [
        [d if isinstance(d, int) else 1 for d in it[0].shape] for it in (session.get_inputs(), session.get_outputs())
    ]
    return _code("mdl.get_desc")


def _size(desc, index, place):
    _int(index)
    assert index == 0
    return int(np.prod(_get(desc, "desc").shapes[place])) * np.dtype(TYPES[OUT if place else 0]).itemsize


def _dims(desc, index):
    shape = _get(desc, "desc").shapes[1]
    return {"name": "heatmaps", "dimCount": len(shape), "dims": shape}, _code("mdl.get_output_dims")


def _add_dataset_buffer(dataset, buffer):
    _get(dataset, "dataset").buffers.append(_get(buffer, "buffer"))
    return dataset, _code("mdl.add_dataset_buffer")


def _execute(model_id, given, made):
    assert model_id == 7
    session, about = _state["model"], next(it for it in _handles.values() if it.kind == "desc")
    (source,), (target,) = (_get(it, "dataset").buffers for it in (given, made))
    images = np.frombuffer(bytes(_device[source.address]), np.float32).reshape(about.shapes[0])
    (maps,) = session.run(None, {session.get_inputs()[0].name: images})
    _device[target.address][:] = maps.astype(TYPES[OUT]).tobytes()
    return _code("mdl.execute")


rt = SimpleNamespace(
    set_device=_set_device, reset_device=_reset_device, malloc=_malloc, free=_free, malloc_host=_malloc_host,
    free_host=_free_host, memcpy=_memcpy,
)  # fmt: skip
util = SimpleNamespace(bytes_to_ptr=_bytes_to_ptr, ptr_to_bytes=_ptr_to_bytes)
mdl = SimpleNamespace(
    load_from_file=_load_from_file, unload=_unload, get_desc=_get_desc, get_output_dims=_dims, execute=_execute,
    create_desc=lambda: _new("desc"), destroy_desc=lambda desc: _drop(desc, "desc"),
    create_dataset=lambda: _new("dataset", buffers=[]), destroy_dataset=lambda dataset: _drop(dataset, "dataset"),
    add_dataset_buffer=_add_dataset_buffer,
    get_input_size_by_index=lambda desc, index: _size(desc, index, 0),
    get_output_size_by_index=lambda desc, index: _size(desc, index, 1),
    get_input_data_type=lambda desc, index: 0, get_output_data_type=lambda desc, index: OUT,
)  # fmt: skip
