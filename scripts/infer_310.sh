#!/usr/bin/env bash
# Inference on an Ascend 310, or through the same stages on this CPU, with the seeds' interface:
#
#   bash scripts/infer_310.sh MODEL DATA NEED_PREPROCESS DEVICE_TARGET [DEVICE_ID]
#   bash scripts/infer_310.sh runs/mine/best.ckpt data/veri y Ascend 0
#   bash scripts/infer_310.sh runs/mine/best.ckpt data/veri y CPU
#
# MODEL is a checkpoint, an ONNX file, or what a run time reads already; NEED_PREPROCESS y or n (the binary images are
# there from before); DEVICE_TARGET Ascend or CPU. It prints the mean time and the accuracy table of `posekit evaluate`.
#
# OUT=DIR        the folder by which the stages hand over (default: runs/infer_310/NAME of the model's folder)
# SPLIT=test     the split of DATA
# IMAGES=DIR     the images of DATA, where they lie apart
# RUN_TIME=NAME  lite, om, onnxruntime, openvino, mindir or mindspore (default: what alone reads an .om or .mindir file,
#                else om on an Ascend where atc is, else lite)
# SOC=Ascend310  for om: Ascend and the name that npu-smi info shows
#
# To infer on another machine: run `posekit infer310 preprocess` and `convert` here (`--help` has their options), copy
# the folder there, run `posekit infer310 infer`, copy it back, run `posekit infer310 postprocess`.
set -euo pipefail
usage() { sed -n '2,21s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
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
out="${OUT:-${POSEKIT_HOME:-$root}/runs/infer_310/$(basename "$(dirname "$(realpath -m "$model")")")}"
command -v posekit >/dev/null || export PATH="$root/.venv/bin:$PATH"

if [[ -n "$preprocess" ]]; then
    posekit infer310 preprocess "$model" --data "$data" --split "${SPLIT:-test}" --out "$out" \
        ${IMAGES:+--images "$IMAGES"}
fi
posekit infer310 convert "$model" --out "$out" --device "$device" --soc "${SOC:-Ascend310}" \
    ${RUN_TIME:+--backend "$RUN_TIME"}
posekit infer310 infer --out "$out" --device "$device"
posekit infer310 postprocess --out "$out"
