"""Runs in the Python that has MindSpore Lite, in a process of its own; needs nothing but NumPy and mindspore_lite.

    python lite_worker.py convert MODEL.onnx OUT.mindir '{"shape": [1, 3, 256, 256], "target": "cpu"}'
    python lite_worker.py run MODEL.mindir '{"shape": [1, 3, 256, 256], "target": "cpu", "device_id": 0, …}'

`run` writes the heatmaps' shape as a line of JSON, then answers each batch of raw float32 images on standard input with
raw float32 heatmaps on standard output. What goes wrong is the line {"error": "…"} and exit code 1. Python 3.7 runs it.
"""

import json
import os
import sys


def convert(model, out, settings):
    """Write an ONNX file, fixed to the shape, as MindSpore Lite's MINDIR for the target."""
    import mindspore_lite as lite  # pyright: ignore[reportMissingImports] only Python 3.7 has it

    converter = lite.Converter()
    converter.save_type = lite.ModelType.MINDIR
    converter.input_shape = {"images": settings["shape"]}
    converter.optimize = "general" if settings["target"] == "cpu" else "ascend_oriented"
    converter.convert(lite.FmkType.ONNX, model, out[: -len(".mindir")])


def run(model, settings, requests, answers):
    """Answer batches until standard input ends."""
    import mindspore_lite as lite  # pyright: ignore[reportMissingImports] only Python 3.7 has it
    import numpy as np

    context = lite.Context()
    context.target = [settings["target"]]
    if settings["target"] == "cpu":
        context.cpu.thread_num = settings["threads"]
    else:
        context.ascend.device_id = settings["device_id"]
        context.ascend.precision_mode = "enforce_" + settings["precision"]
    network = lite.Model()
    network.build_from_file(model, lite.ModelType.MINDIR, context)
    inputs = network.get_inputs()
    if list(inputs[0].shape) != settings["shape"]:
        raise ValueError(f"takes images of shape {list(inputs[0].shape)}, not {settings['shape']}")

    def heatmaps(images):
        inputs[0].set_data_from_numpy(images)
        # The array is a view into memory of Lite's: copy it while `network` lives.
        return network.predict(inputs)[0].get_data_to_numpy().astype(np.float32)

    images = np.zeros(settings["shape"], np.float32)
    say(answers, {"shape": list(heatmaps(images).shape)})
    while True:
        data = requests.read(images.nbytes)
        if len(data) < images.nbytes:
            return
        answers.write(heatmaps(np.frombuffer(data, np.float32).reshape(images.shape).copy()).tobytes())
        answers.flush()


def say(stream, message):
    """One line of JSON."""
    stream.write((json.dumps(message) + "\n").encode())
    stream.flush()


def main():
    """Standard output is kept for answers: what Lite itself prints there goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    task, model, *rest = sys.argv[1:]
    try:
        if task == "convert":
            convert(model, rest[0], json.loads(rest[1]))
            say(answers, {})
        else:
            run(model, json.loads(rest[0]), sys.stdin.buffer, answers)
    except Exception as error:
        say(answers, {"error": (str(error).strip() or type(error).__name__).splitlines()[0]})
        sys.exit(1)


if __name__ == "__main__":
    main()
