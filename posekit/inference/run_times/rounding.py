"""Half precision, simulated on any CPU: approximately what a run time that computes in 16 bits gives."""

import tempfile
from pathlib import Path

import onnx
import onnxruntime
from onnx import TensorProto, helper

_TYPES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


def rounded(model: Path | bytes, precision: str) -> bytes:
    """An ONNX file (or its bytes) with weights, input and the result of every operation rounded to 16 bits and widened.

    BatchNorm is folded into convolutions first, and sums inside an operation are formed in fp32: so do the matrix units
    of Ascend (fp16) and AMX (bf16). Run it without optimisations, which could take the rounding out.
    """
    simple = onnx.version_converter.convert_version(folded(model), 13)  # the first opset that can cast to bf16
    weights = {tensor.name for tensor in simple.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    outputs = {value.name for value in simple.graph.output}
    nodes = []

    def narrowed(name: str, result: str) -> str:
        nodes.append(helper.make_node("Cast", [name], [f"{name}-narrow"], to=_TYPES[precision]))
        nodes.append(helper.make_node("Cast", [f"{name}-narrow"], [result], to=TensorProto.FLOAT))
        return result

    now = {value.name: narrowed(value.name, f"{value.name}-wide") for value in simple.graph.input}
    for node in simple.graph.node:
        for name in node.input:
            if name in weights and name not in now and node.op_type != "Resize":  # its factors aren't data
                now[name] = narrowed(name, f"{name}-wide")
        exact = f"{node.output[0]}-exact"
        inputs = [now.get(name, name) for name in node.input]
        result, node.input[:], node.output[0] = node.output[0], inputs, exact
        nodes.append(node)
        now[result] = narrowed(exact, result if result in outputs else f"{result}-wide")
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del simple.graph.node[:]
    simple.graph.node.extend(kept)
    onnx.checker.check_model(simple)
    return simple.SerializeToString()


def folded(model: Path | bytes) -> onnx.ModelProto:
    """The graph as ONNX Runtime simplifies it, without its own operators."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder, "model.onnx"))
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)
