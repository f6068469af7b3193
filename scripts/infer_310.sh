#!/usr/bin/env bash
# Inference on an Ascend 310, or the same stages on this CPU, with the command line of the originals:
#
#   bash scripts/infer_310.sh MODEL DATA NEED_PREPROCESS DEVICE_TARGET [DEVICE_ID]
#   bash scripts/infer_310.sh runs/mine/best.ckpt data/veri y Ascend 0
#   bash scripts/infer_310.sh runs/mine/best.ckpt data/veri y CPU
#
# MODEL: a checkpoint, an ONNX file or another file for a run time. NEED_PREPROCESS: y, or n to reuse the binary images
# of an earlier run. DEVICE_TARGET: Ascend or CPU. Prints the mean time and the accuracy table of `posekit evaluate`.
#
# OUT=DIR        folder in which the stages exchange files (default: runs/infer_310/ + name of the model's folder)
# SPLIT=test     the split of DATA
# IMAGES=DIR     the images of DATA, if they are in another folder
# RUN_TIME=NAME  lite, om, onnxruntime, openvino, mindir or mindspore (default: the one that reads an .om or .mindir
#                file; else om on an Ascend with atc, else lite)
# SOC=Ascend310  for om: Ascend + the name that npu-smi info shows
#
# For a board where posekit can't be installed: `posekit infer310 pack` (docs/board.md).
# To infer on another machine that has posekit: run `posekit infer310 preprocess` and `convert` here (`--help` has their
# options), copy the folder there, run `posekit infer310 infer`, copy it back, run `posekit infer310 postprocess`.
set -euo pipefail
usage() { sed -n '2,22s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
(($# == 4 || $# == 5)) && [[ "${5:-0}" =~ ^[0-9]+$ ]] || usage
model="$1" data="$2"
case "${3,,}" in
    y | yes | true) preprocess=y ;;
    n | no | false) preprocess= ;;
    *) usage ;;
esac
case "${4,,}" in
    cpu) device=cpu ;;
    ascend) device="ascend:${5:-${DEVICE_ID:-0}}" ;;
    *) usage ;;
esac
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
home="$root"
[[ -f "$root/pyproject.toml" ]] || home="$PWD" # the scripts came in a wheel
out="${OUT:-${POSEKIT_HOME:-$home}/runs/infer_310/$(basename "$(dirname "$(realpath -m -- "$model")")")}"
command -v posekit >/dev/null || export PATH="$root/.venv/bin:$PATH"

if [[ -n "$preprocess" ]]; then
    posekit infer310 preprocess --data "$data" --split "${SPLIT:-test}" --out "$out" ${IMAGES:+--images "$IMAGES"} \
        -- "$model"
fi
posekit infer310 convert --out "$out" --device "$device" --soc "${SOC:-Ascend310}" ${RUN_TIME:+--backend "$RUN_TIME"} \
    -- "$model"
posekit infer310 infer --out "$out" --device "$device"
posekit infer310 postprocess --out "$out"
