#!/usr/bin/env bash
# Set up .venv if needed, then run the lessons from first to last: bash scripts/course.sh [--scale laptop] [--only 04] …
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up course
cd "$root"
exec "$venv/bin/python" -m posekit.cli course run "$@"
