#!/usr/bin/env python3
"""Run this kit's network on its inputs, or on pictures of yours. Python 3.7 to 3.13 with NumPy and Pillow.

    python3 infer.py                      the kit's inputs: heatmaps/, keypoints.csv, times.json, annotated/
    python3 infer.py a.jpg b.jpg          these pictures, each as a whole one object: found/
    python3 infer.py --with onnxruntime   choose the run time; --help has the rest

It takes the first of these run times whose model file and Python module are there: acl (CANN's own pyACL), ais_bench,
lite (MindSpore Lite on the Ascend), onnxruntime and lite-cpu, both on this machine's processor.

Network inputs are posekit's to the last bit; keypoints are decoded more simply. At home, `posekit infer310 postprocess
--out KIT` decodes the heatmaps as the recipe says, and scores them.
"""

import argparse
import csv
import hashlib
import importlib
import json
import os
import platform
import sys
import time
from contextlib import closing, contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import Any

try:
    import numpy as np
    from PIL import Image, ImageDraw, ImageOps
except ImportError as missing:
    print(f"infer.py: {missing}; pip install numpy pillow", file=sys.stderr)
    sys.exit(2)

HERE = os.path.dirname(os.path.abspath(__file__))
HOST_TO_DEVICE, DEVICE_TO_HOST, HUGE_FIRST = 1, 2, 0  # kinds of acl.rt.memcpy, policy of acl.rt.malloc
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
ACL_TYPES = {0: np.float32, 1: np.float16}
Image.MAX_IMAGE_PIXELS = None  # whoever packed the kit has looked at its pictures


class KitError(Exception):
    """What is wrong with the kit or this machine, and what to do, in one line."""


class Acl:
    """An OM file through pyACL: one input and one output, each with a buffer on the device."""

    def __init__(self, path, device):
        self.acl: Any = importlib.import_module("acl")
        self.device, self.buffers = device, []
        self.call("init")
        self.call("rt.set_device", device)
        self.model = self.call("mdl.load_from_file", path)
        self.about = self.acl.mdl.create_desc()
        self.call("mdl.get_desc", self.about, self.model)
        self.shape = self.call("mdl.get_output_dims", self.about, 0)["dims"]
        self.takes = ACL_TYPES.get(self.acl.mdl.get_input_data_type(self.about, 0))
        self.gives = ACL_TYPES.get(self.acl.mdl.get_output_data_type(self.about, 0))
        self.input = self.dataset(self.acl.mdl.get_input_size_by_index(self.about, 0))
        self.output = self.dataset(self.acl.mdl.get_output_size_by_index(self.about, 0))

    def call(self, name, *arguments) -> Any:
        """What acl.NAME returns beside its code, if anything; KitError unless the code is 0."""
        answer = reduce(getattr, name.split("."), self.acl)(*arguments)
        value, code = answer if isinstance(answer, tuple) else (None, answer)
        if code:
            said = str(getattr(self.acl, "get_recent_err_msg", str)() or "").strip().split("\n")[0][:200]
            raise KitError(
                f"acl.{name} returned {code} ({said}); driver, toolkit and kernels must be of one CANN version, and "
                "model.om made for this chip: bash convert.sh"
            )
        return value

    def dataset(self, size):
        """A data set with a buffer of so many bytes on the device: its handle, the buffer's address and size."""
        address, handle = self.call("rt.malloc", size, HUGE_FIRST), self.acl.mdl.create_dataset()
        buffer = self.acl.create_data_buffer(address, size)
        self.call("mdl.add_dataset_buffer", handle, buffer)
        self.buffers.append((handle, buffer, address))
        return handle, address, size

    def __call__(self, images):
        (given, source, size), (made, target, length) = self.input, self.output
        data = images.astype(self.takes).tobytes() if self.takes and self.gives else b""
        if len(data) != size:
            raise KitError(f"model.om takes {size} bytes and not one input; make it with convert.sh")
        self.call("rt.memcpy", source, size, self.acl.util.bytes_to_ptr(data), size, HOST_TO_DEVICE)
        self.call("mdl.execute", self.model, given, made)
        host = self.call("rt.malloc_host", length)
        self.call("rt.memcpy", host, length, target, length, DEVICE_TO_HOST)
        answer = self.acl.util.ptr_to_bytes(host, length)
        self.call("rt.free_host", host)
        return np.frombuffer(answer, self.gives, int(np.prod(self.shape))).reshape(self.shape).astype(np.float32)

    def close(self):
        """Give everything back, in the opposite order; codes are not looked at, an error is told already."""
        for handle, buffer, address in self.buffers[::-1]:
            self.acl.destroy_data_buffer(buffer)
            self.acl.rt.free(address)
            self.acl.mdl.destroy_dataset(handle)
        self.acl.mdl.destroy_desc(self.about)
        self.acl.mdl.unload(self.model)
        self.acl.rt.reset_device(self.device)
        self.acl.finalize()


@contextmanager
def open_ais_bench(path, device):
    """An OM file through Ascend's ais_bench."""
    session = importlib.import_module("ais_bench.infer.interface").InferSession(device, path)
    yield lambda images: np.asarray(session.infer([images])[0], np.float32)
    getattr(session, "free_resource", list)()  # old versions do so by themselves


@contextmanager
def open_lite(path, device, target="ascend"):
    """A MINDIR of MindSpore Lite's own, made for this target."""
    lite = importlib.import_module("mindspore_lite")
    context, model = lite.Context(), lite.Model()
    context.target = [target]
    if target == "ascend":
        context.ascend.device_id = device
    else:
        context.cpu.thread_num = CORES
    model.build_from_file(path, lite.ModelType.MINDIR, context)
    inputs = model.get_inputs()

    def run(images):
        inputs[0].set_data_from_numpy(images)
        return model.predict(inputs)[0].get_data_to_numpy().astype(np.float32)  # a copy: the memory is Lite's

    yield run


@contextmanager
def open_onnxruntime(path, device):
    """The ONNX file on the processor."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    yield lambda images: session.run(None, {session.get_inputs()[0].name: images})[0]


RUN_TIMES = {  # file, module, and what opens it as a function: images (1, 3, H, W) float32 -> heatmaps (1, K, h, w)
    "acl": ("model.om", "acl", lambda path, device: closing(Acl(path, device))),
    "ais_bench": ("model.om", "ais_bench.infer.interface", open_ais_bench),
    "lite": ("model-ascend.mindir", "mindspore_lite", open_lite),
    "onnxruntime": ("model.onnx", "onnxruntime", open_onnxruntime),
    "lite-cpu": ("model-cpu.mindir", "mindspore_lite", partial(open_lite, target="cpu")),
}


def choose(wanted):
    """The run time that is asked for, or the first whose file and module are here; KitError says why there is none."""
    reasons = []
    for name in [wanted] if wanted else RUN_TIMES:
        file, module, _ = RUN_TIMES[name]
        try:
            if not os.path.isfile(os.path.join(HERE, file)):
                raise ImportError(f"{file} isn't in the kit")
            importlib.import_module(module)
            return name
        except ImportError as error:
            reasons.append(f"{name}: {error}")
    raise KitError(f"no run time ({'; '.join(reasons)}); pip install onnxruntime, or see README.md")


def means_of(image, matrix):
    """Means of 2 × 2, 4 × 4 or 8 × 8 pixels where the map shrinks so often, and the map from them."""
    shrinks = 1 / np.linalg.norm(np.asarray(matrix)[:, :2], axis=0).max()
    t = max(times for times in (1, 2, 4, 8) if times <= max(shrinks, 1))
    high, wide = (-(-side // t) for side in image.shape[:2])
    padded = np.pad(image, ((0, high * t - image.shape[0]), (0, wide * t - image.shape[1]), (0, 0)), mode="edge")
    sums = padded.reshape(high, t, wide, t, 3).sum(axis=(1, 3), dtype=np.int64)
    moved = [(a * t, b * t, (a + b) * (t - 1) / 2 + c) for a, b, c in matrix]  # the first mean is at (t - 1) / 2
    means = np.rint(sums / (t * t) + (t == 2) / 16)  # as OpenCV: ties go up in 2 × 2, else to even
    return means.astype(np.uint8), moved


def warp(image, matrix, width, height, means=False):
    """Cut a crop (height, width, 3) out of an image (H, W, 3) uint8 by the map (2, 3) from image to crop.

    Bilinear, black outside, in OpenCV's own integers: 1/1024 pixel along each axis, then 1/32 of a pixel for weights.
    """
    if means:
        image, matrix = means_of(image, matrix)
    (a, b, c), (d, e, f) = np.asarray(matrix, np.float64)
    scale = 1 / (a * e - b * d)
    a, b, d, e = e * scale, b * -scale, d * -scale, a * scale
    rows = (a, b, -a * c - b * f), (d, e, -d * c - e * f)  # from crop to image
    across, down = np.arange(width), np.arange(height)[:, None]
    steps = [
        (np.rint((q * down + r) * 1024).astype(np.int64) + 16 + np.rint(p * across * 1024).astype(np.int64)) >> 5
        for p, q, r in rows
    ]  # x and y in the image, (height, width), in 1/32 of a pixel
    x, y = (np.clip(step >> 5, -2, side) + 2 for step, side in ((steps[0], image.shape[1]), (steps[1], image.shape[0])))
    right, lower = ((step & 31)[..., None] for step in steps)
    left, upper = 32 - right, 32 - lower
    framed = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="constant")
    above = framed[y, x] * left + framed[y, x + 1] * right
    below = framed[y + 1, x] * left + framed[y + 1, x + 1] * right
    return ((above * upper + below * lower + 512) >> 10).astype(np.uint8)


def normalise(crop, kit):
    """(H, W, 3) uint8 -> (1, 3, H, W) float32; looked up, as values are so few."""
    scale = (1 / (255 * np.array(kit["std"]))).astype(np.float32)
    shift = (np.array(kit["mean"]) / np.array(kit["std"])).astype(np.float32)
    table = (np.arange(256, dtype=np.uint8)[:, None] * scale - shift).T  # (3, 256)
    return np.stack([table[channel][crop[..., channel]] for channel in range(3)])[None]


def pixels_of(values, kit):
    """The way back: (1, 3, H, W) float32 -> (H, W, 3) uint8."""
    pixels = 255 * (values[0].transpose(1, 2, 0) * np.array(kit["std"]) + kit["mean"])
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def whole_matrix(width, height, kit):
    """The map from a picture to the input when the whole picture, with a margin, is the object's box."""
    wide, high = (side - kit["intervals"] for side in kit["input_size"])
    aspect = kit["input_size"][0] / kit["input_size"][1]
    box = [kit["margin"] * side for side in ((width, height) if aspect != 1 else [max(width, height)] * 2)]
    box = max(box[0], aspect * box[1]), max(box[1], box[0] / aspect)
    across, down = wide / box[0], high / box[1]
    return [[across, 0, wide / 2 - across * width / 2], [0, down, high / 2 - down * height / 2]]


def average(heatmaps, mirrored, kit):
    """The mean of heatmaps (K, h, w) and those of the mirrored image, mirrored back and shifted as the recipe says."""
    back = mirrored[kit["flip_order"], :, ::-1]
    whole, part = int(kit["flip_shift"]), kit["flip_shift"] % 1
    moved = [np.concatenate([back[..., :n], back[..., : back.shape[-1] - n]], axis=-1) for n in (whole, whole + 1)]
    return (heatmaps + (1 - part) * moved[0] + part * moved[1]) / 2


def decode(heatmaps, matrix, kit):
    """Keypoints (K, 2) in the picture's pixels and scores (K,): the highest cell, a quarter to its higher neighbour."""
    count, high, wide = heatmaps.shape
    best = heatmaps.reshape(count, -1).argmax(1)
    cells, k = np.stack([best % wide, best // wide], 1), np.arange(count)
    padded = np.pad(heatmaps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    x, y = cells[:, 0] + 1, cells[:, 1] + 1
    slopes = np.stack([padded[k, y, x + 1] - padded[k, y, x - 1], padded[k, y + 1, x] - padded[k, y - 1, x]], 1)
    strides = [(kit["input_size"][i] - kit["intervals"]) / ((wide, high)[i] - kit["intervals"]) for i in (0, 1)]
    points = (cells + 0.25 * np.sign(slopes) + kit["cell_offset"]) * strides  # in the input's pixels
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    return points @ inverse[:2, :2].T + inverse[:2, 2], heatmaps.reshape(count, -1).max(1)


def draw(picture, points, scores, kit):
    """The picture, enlarged if it is small, with the keypoints that are probably visible and their limbs."""
    factor = max(1, round(480 / max(picture.size)))
    canvas = picture.resize((picture.width * factor, picture.height * factor), 3)  # bicubic
    pen, width = ImageDraw.Draw(canvas), max(1, round(max(canvas.size) / 400))
    r, shown = 2 * width, scores > 0.75 * np.quantile(scores, 0.8)
    places = [tuple(place) for place in ((points + 0.5) * factor - 0.5).tolist()]
    for number, (one, other) in enumerate(kit["limbs"]):
        if shown[one] and shown[other]:
            pen.line(places[one] + places[other], tuple(kit["limb_colors"][number]), width)
    for number, (x, y) in enumerate(places):
        if shown[number]:
            pen.ellipse([x - r, y - r, x + r, y + r], tuple(kit["colors"][number]), (255, 255, 255))
    return canvas


def read_kit():
    """What kit.json says; KitError when a file that is read here isn't as it was packed."""
    try:
        for line in Path(HERE, "SHA256SUMS").read_text("utf-8").splitlines():
            digest, name = line.split("  ", 1)
            yours = name.endswith((".py", ".sh", ".md"))  # to change
            if not yours and hashlib.sha256(Path(HERE, name).read_bytes()).hexdigest() != digest:
                raise KitError(f"{name}: changed since the kit was packed; copy the kit again")
        return json.loads(Path(HERE, "kit.json").read_text("utf-8"))
    except ValueError:
        raise KitError("SHA256SUMS or kit.json is damaged; copy the kit again") from None


def read_picture(path, upright):
    """A picture in RGB, turned as its orientation tag says if `upright`."""
    try:
        with Image.open(path) as image:
            return (ImageOps.exif_transpose(image) if upright else image).convert("RGB")
    except Exception as error:  # Pillow's readers raise anything on damaged files
        raise KitError(f"{path}: not a readable picture ({str(error)[:200]}); give a JPEG or PNG") from None


class Inputs:
    """The kit's samples, or the user's own pictures."""

    def __init__(self, kit, pictures):
        self.kit, self.last, self.own = kit, {}, bool(pictures)
        self.samples = [{"name": path, "file": os.path.abspath(path)} for path in pictures] or kit["samples"]

    def take(self, number):
        """The input (1, 3, H, W), the picture, and the maps (2, 3) to the input from image and from picture."""
        sample, (width, height) = self.samples[number], self.kit["input_size"]
        path = os.path.join(HERE, sample["file"])
        if path.endswith(".bin"):  # cut out and normalised at home: the picture is the input itself
            values = np.fromfile(path, np.float32).reshape(1, 3, height, width)
            return values, Image.fromarray(pixels_of(values, self.kit)), sample["matrix"], np.eye(3)[:2]
        if path not in self.last:  # several samples may be in one picture
            self.last = {path: read_picture(path, self.own)}
        picture = self.last[path]
        matrix = sample.get("matrix") or whole_matrix(picture.width, picture.height, self.kit)
        if "cut" in sample:  # where the crop isn't made as `warp` does
            crop = np.asarray(read_picture(os.path.join(HERE, sample["cut"]), False))
        else:
            crop = warp(np.asarray(picture), matrix, width, height, self.kit["means"])
        return normalise(crop, self.kit), picture, matrix, matrix


def write_maps(out, number, maps):
    """Write heatmaps (K, h, w), and the mirrored input's, for postprocess; returns lines of their checksums."""
    lines = []
    for place, values in enumerate(maps):
        name, data = f"heatmaps{'_flipped' * place}/{number:06}.bin", np.asarray(values, np.float32).tobytes()
        Path(out, name).write_bytes(data)
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    return lines


def clock(spent, name, function, *arguments):
    """What the function returns; its milliseconds go to spent[name]."""
    began = time.perf_counter()
    answer = function(*arguments)
    spent[name].append(1e3 * (time.perf_counter() - began))
    return answer


def infer(kit, inputs, model, out, draws):
    """Run all inputs; returns the table's rows, checksums of heatmaps and milliseconds of each step."""
    rows, sums, spent = [], [], {"input": [], "network": [], "decode": []}
    model(np.zeros((1, 3, kit["input_size"][1], kit["input_size"][0]), np.float32))  # the first call is slower
    for number, sample in enumerate(inputs.samples):
        values, picture, matrix, seen = clock(spent, "input", inputs.take, number)
        given = [values, np.ascontiguousarray(values[..., ::-1])][: 1 + kit["flip_test"]]
        maps = [clock(spent, "network", model, images)[0] for images in given]
        if not np.isfinite(maps).all():
            raise KitError("the heatmaps hold NaN or infinite values; see README.md, precision")
        if not inputs.own:
            sums += write_maps(out, number, maps)
        found = average(maps[0], maps[1], kit) if len(maps) > 1 else maps[0]
        points, scores = clock(spent, "decode", decode, found, matrix, kit)
        cells = [f"{x:.3f},{y:.3f},{score:.6g}".split(",") for x, y, score in np.column_stack([points, scores])]
        rows.append(sum(cells, [sample["name"]]))
        if number < draws:
            drawn = draw(picture, decode(found, seen, kit)[0], scores, kit)
            drawn.save(os.path.join(out, "annotated", f"{number:06}.jpg"), quality=90)
        if number % 100 == 99:
            print(f"{number + 1} of {len(inputs.samples)}", flush=True)
    return rows, sums, spent


def run(options):
    """Everything; prints where the results are and how fast the network was."""
    kit, name = read_kit(), choose(options.run_time)
    inputs = Inputs(kit, options.pictures)
    out = options.out if inputs.own else HERE
    for place in ("annotated", "heatmaps", "heatmaps_flipped")[: 1 if inputs.own else 3]:
        os.makedirs(os.path.join(out, place), exist_ok=True)
    file, _, opener = RUN_TIMES[name]
    with opener(os.path.join(HERE, file), options.device) as model:
        rows, sums, spent = infer(kit, inputs, model, out, options.draw)
    calls, times = spent["network"], {"run_time": name, "python": sys.version.split()[0], "machine": platform.machine()}
    times.update(images=len(calls), milliseconds=np.mean(calls), median=np.median(calls))
    times.update(p95=np.quantile(calls, 0.95), input=np.mean(spent["input"]), decode=np.mean(spent["decode"]))
    with open(os.path.join(out, "keypoints.csv"), "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)  # name,x0,y0,score0,… in pixels of each picture
    for file, lines in (("times.json", json.dumps(times, indent=2)), ("infer.sha256", sums))[: 2 - inputs.own]:
        Path(out, file).write_text("".join(lines), "utf-8")
    print(f"{name}: {times['milliseconds']:.2f} ms per image, mean of {len(calls)}")
    print(f"{out}: keypoints.csv of {len(rows)} samples, times.json, {min(options.draw, len(rows))} in annotated/")


def main():
    """The command line; exit code 2 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", help="pictures, instead of the kit's inputs")
    parser.add_argument("--with", dest="run_time", choices=list(RUN_TIMES), help="the run time")
    parser.add_argument("--device", type=int, default=0, help="the Ascend's number, from 0")
    parser.add_argument("--draw", type=int, default=100, help="annotate the first DRAW pictures (default: 100)")
    parser.add_argument("--out", default="found", help="folder for the results of pictures (default: found)")
    try:
        return run(parser.parse_args())
    except (Exception, KeyboardInterrupt) as error:  # a run time may raise anything
        if sys.flags.dev_mode:
            raise
        words = error if isinstance(error, (KitError, OSError)) else f"{repr(error)[:400]}; python3 -X dev says where"
        print(f"infer.py: {words}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
