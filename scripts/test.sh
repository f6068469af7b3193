#!/usr/bin/env bash
# Set-up where needed, then the tests: bash scripts/test.sh [pytest arguments]
# With POSEKIT_ANNOTATIONS=DIR (the real label files) the tests that need those run too.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up test
cd "$root"
export MPLBACKEND=Agg GLOG_v="${GLOG_v:-3}"
exec "$venv/bin/python" -m pytest "$@"
