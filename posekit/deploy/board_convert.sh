#!/usr/bin/env bash
# ONNX to an Ascend's own format, model.om, on the board or wherever CANN is:
#
#   bash convert.sh                      for the chip that npu-smi info names
#   bash convert.sh Ascend310B4          for this one (Orange Pi AIpro 8T: Ascend310B4, 20T: Ascend310B1, Atlas 300I Pro
#                                        and 300V Pro: Ascend310P3)
#   bash convert.sh Ascend310B4 --precision_mode=force_fp32     more options of atc
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

fail() { echo "convert.sh: $1" >&2; exit 2; }

soc='@SOC@'
if (($#)) && [[ "$1" != -* ]]; then soc="${1:-$soc}"; shift; fi
if [[ -z "$soc" ]]; then
    command -v npu-smi >/dev/null || fail "npu-smi is not here; name the chip: bash convert.sh Ascend310B4"
    table="$(npu-smi info)" || fail "npu-smi info failed; is the driver loaded, and may you use it (group HwHiAiUser)?"
    # The first device's row is "| 0     310B4   | OK | …": its number and its name.
    names="$(awk -F'|' '{ split($2, word, " ") } word[2] ~ /^[0-9][0-9][0-9][0-9A-Za-z_]*$/ { print word[2] }' <<<"$table")"
    [[ -n "$names" ]] || fail "npu-smi info names no chip; name it: bash convert.sh Ascend310B4"
    soc="${names%%$'\n'*}"
fi
soc="Ascend${soc#Ascend}"

if ! command -v atc >/dev/null; then
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" PYTHONPATH="${PYTHONPATH:-}"
    for script in /usr/local/Ascend/ascend-toolkit/set_env.sh /usr/local/Ascend/cann/set_env.sh; do
        # shellcheck disable=SC1090
        if [[ -f "$script" ]]; then set +eu; source "$script"; set -eu; break; fi
    done
    command -v atc >/dev/null || fail "atc is not here; install CANN and source its set_env.sh"
fi
# A board with 8 GB runs out of memory when atc compiles in parallel.
if [[ "$soc" == Ascend310B* ]]; then export TE_PARALLEL_COMPILER=1 MAX_COMPILE_CORE_NUMBER=1; fi

set -x
@ATC@ "$@"
{ set +x; } 2>/dev/null
echo "model.om for $soc; next: python3 infer.py"

# For MindSpore Lite on the Ascend instead, whose model-ascend.mindir infer.py runs too:
# @LITE@
