"""A stand-in for Ascend's ais_bench, as its API_GUIDE says: InferSession(device_id, model_path).infer(feeds, mode)."""

import numpy as np
import onnxruntime


class InferSession:
    """An OM file, which is an ONNX file here, on a device."""

    def __init__(
        self, device_id: int, model_path: str, acl_json_path: str | None = None, debug: bool = False, loop: int = 1
    ) -> None:
        assert type(device_id) is int and isinstance(model_path, str)
        self._session = onnxruntime.InferenceSession(model_path, providers=["CPUExecutionProvider"])

    def infer(self, feeds: list[np.ndarray], mode: str = "static") -> list[np.ndarray]:
        """A list of arrays, one per output."""
        assert isinstance(feeds, list) and all(isinstance(feed, np.ndarray) for feed in feeds)
        assert mode == "static" and feeds[0].dtype == np.float32 and feeds[0].flags.c_contiguous
        return self._session.run(None, {self._session.get_inputs()[0].name: feeds[0]})

    def free_resource(self) -> None:
        """Give the device back."""
        assert self._session
        self._session = None
