#!/usr/bin/env bash
# Run posekit train on several devices, one worker process per device, with MindSpore's msrun. Everything after -- is
# passed to `posekit train`. On one host:
#
#   bash scripts/distributed.sh --workers 8 -- poseestnet --data data/veri --out runs/veri
#
# On several hosts, run this on each host R = 0, 1, …, with the address of host 0:
#
#   bash scripts/distributed.sh --workers 16 --local-workers 8 --master-addr 10.0.0.1 --node-rank R -- poseestnet …
#
#   --rank-table FILE    Ascend only: which device has which rank and network address
#   --master-port PORT   port on host 0 where the workers meet (default: 8118)
#   --print              print the msrun command without running it
#
# Logs go to logs/ in the run's folder: worker_<rank>.log, scheduler.log, msrun_<host>.log, and what Ascend compiles for
# each rank. If a worker dies, all workers end; the script prints its rank and the end of its log, and exits with its
# code. On Ctrl-C and SIGTERM the workers save a checkpoint first, and the script exits with code 75.
#
# With --dry-run among what follows --, the workers only check: their hosts, and that all see the same folders. Each host
# prints the table, and exits with code 0 or 2; the logs are temporary.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
workers='' local_workers='' address=127.0.0.1 port=8118 node=0 table='' out='' print='' dry='' timeout=300

fail() {
    printf 'distributed.sh: %s\n' "$*" >&2
    exit 2
}

while (($#)) && [[ "$1" != -- ]]; do
    if [[ "$1" == --print ]]; then
        print=yes
        shift
        continue
    fi
    case "$1" in
        --workers) name=workers ;;
        --local-workers) name=local_workers ;;
        --master-addr) name=address ;;
        --master-port) name=port ;;
        --node-rank) name=node ;;
        --rank-table) name=table ;;
        *) fail "unknown option $1; see the options at the top of this script" ;;
    esac
    (($# > 1)) && [[ "$2" != --* ]] || fail "$1 needs a value"
    printf -v "$name" '%s' "$2"
    shift 2
done
training=("${@:2}")
for ((i = 0; i < ${#training[@]}; i++)); do
    [[ "${training[i]}" != --out ]] || out="${training[i + 1]:-}"
    [[ "${training[i]}" != --out=* ]] || out="${training[i]#--out=}"
    [[ "${training[i]}" != --dry-run ]] || dry=yes timeout=60
done
local_workers="${local_workers:-$workers}"

[[ "$workers" =~ ^[1-9][0-9]*$ ]] || fail 'give --workers, the number of devices to train on'
[[ "$local_workers" =~ ^[1-9][0-9]*$ ]] || fail "--local-workers $local_workers: give a number above 0"
[[ "$port" =~ ^[1-9][0-9]*$ ]] || fail "--master-port $port: give a port number"
((workers % local_workers == 0)) || fail "$workers workers are not a multiple of $local_workers on each host"
hosts=$((workers / local_workers))
[[ "$node" =~ ^[0-9]+$ ]] && ((node < hosts)) || fail "--node-rank $node: give a host from 0 to $((hosts - 1))"
((hosts == 1)) || [[ "$address" != 127.* ]] || fail 'several hosts need --master-addr, the address of host 0'
[[ -z "$table" || -f "$table" ]] || fail "$table: no such rank table; check --rank-table"
[[ -n "$out" ]] || fail 'give -- and what posekit train takes, including --out: -- poseestnet --out runs/veri'
[[ "$out" != '~/'* ]] || out="$(cd && pwd)/${out:2}" # as posekit does

logs="$out/logs"
if [[ -n "$dry" ]]; then
    logs="$(mktemp -d)"
    trap 'rm -rf "$logs"' EXIT
fi
line=(
    msrun "--worker_num=$workers" "--local_worker_num=$local_workers" "--master_addr=$address" "--master_port=$port"
    "--node_rank=$node" "--log_dir=$logs" --join=True "--cluster_time_out=$timeout" --tail_worker_log=0
    ${table:+"--rank_table_file=$table"} python -m posekit.cli train "${training[@]}"
)
if [[ -n "$print" ]]; then
    printf '%q ' "${line[@]}"
    echo
    exit
fi

# Print "RANK PROCESS" for each worker of this host that has logged its start (posekit.runtime does so).
here() {
    local rank
    for ((rank = node * local_workers; rank < (node + 1) * local_workers; rank++)); do
        sed -nE "s/^rank ($rank) of .*, process ([0-9]+)$/\1 \2/p" "$logs/worker_$rank.log" 2>/dev/null || true
    done
}

stop() {
    local processes
    processes="$(here | cut -d ' ' -f 2)"
    if [[ -n "$processes" ]]; then
        # shellcheck disable=SC2086
        kill -TERM $processes 2>/dev/null || true
    else
        interrupted=yes
        kill -INT "$msrun" 2>/dev/null || true
    fi
}

# Wait until the workers of this host have saved after a SIGTERM. A worker that waits for a dead rank never ends, and
# queues kill a job half a minute after their SIGTERM; so kill the rest after 25 seconds.
await_workers() {
    local processes seconds
    processes="$(here | cut -d ' ' -f 2)"
    # shellcheck disable=SC2086
    for ((seconds = 0; seconds < 25; seconds++)); do
        kill -0 $processes 2>/dev/null || return 0
        sleep 1 || true
    done
    # shellcheck disable=SC2086
    kill -KILL $processes 2>/dev/null || true
}

# show RANK: print what this worker has printed, but for the line that `here` reads and MindSpore's own.
show() {
    sed -e 1d -e '/^\[INFO\]/d' "$logs/worker_$1.log"
}

# report PROCESS CODE: print which worker ended, and the end of its log.
report() {
    local rank
    rank="$(here | awk -v process="$1" '$2 == process { print $1 }')"
    if [[ -n "$dry" && -n "$rank" && "$2" == 2 ]]; then
        show "$rank"
    elif [[ -n "$rank" ]]; then
        printf '\ndistributed.sh: the worker of rank %s ended with code %s; its log:\n' "$rank" "$2"
        tail -n 25 "$logs/worker_$rank.log"
    else
        printf '\ndistributed.sh: worker process %s ended with code %s before it got its rank; the logs:\n' "$1" "$2"
        tail -n 10 "$logs"/worker_*.log
    fi
}

command -v msrun >/dev/null || PATH="$root/.venv/bin:$PATH"
command -v msrun >/dev/null || fail 'msrun was not found; activate the environment in which MindSpore is installed'
mkdir -p "$logs"
exec 9>>"$logs/.lock_$node"
flock -n -E 75 9 || (($? != 75)) || fail "$out: $(<"$logs/.lock_$node") trains there; wait until it ends, or give another --out"
printf 'process %s on %s, since %(%F %T)T,' $$ "$HOSTNAME" -1 >"$logs/.lock_$node"
if ((node == 0)) && (: <"/dev/tcp/$address/$port") 2>/dev/null; then
    fail "port $port of $address is taken, perhaps by another training; choose another with --master-port"
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
[[ "${GLOG_v:-4}" -le 3 ]] || export GLOG_v=3 # log errors: msrun logs as an error which worker has ended
export MS_NODE_TIMEOUT="${MS_NODE_TIMEOUT:-15}" # seconds of silence after which a worker on another host counts as dead
export MS_CPU_COMM_OP_TIMEOUT="${MS_CPU_COMM_OP_TIMEOUT:-1800}" # seconds that a rank waits for others; HCCL's default
export MS_COMPILER_CACHE_PATH="${MS_COMPILER_CACHE_PATH:-$logs/compiled}" # compiled operators, one folder per rank
says="$logs/msrun_$node.log"
shown=1 # not /dev/stdout: opening it again would empty a file that the output goes to, and write over it
[[ -z "$dry" ]] || exec {shown}>/dev/null

set -m # msrun gets its own process group, so that Ctrl-C reaches only this script
"${line[@]}" >&"$shown" 2>"$says" &
msrun=$!
trap stop INT TERM
ended='' interrupted=''
while [[ -z "$ended" ]] && kill -0 "$msrun" 2>/dev/null; do
    sleep 1 || true
    ended="$(sed -nE 's/.*Worker process ([0-9]+) exit with exception. Error code: (-?[0-9]+).*/\1 \2/p' "$says")"
done
if [[ -z "$ended" ]]; then
    if wait "$msrun" && [[ -z "$interrupted" ]]; then
        [[ -z "$dry" ]] || show $((node * local_workers))
        exit
    fi
    await_workers # a queue's SIGTERM ends msrun, too, but not its workers
    tail -n 15 "$says" >&2
    exit 1
fi
# After this message msrun kills the other workers of this host and then waits for the scheduler's time-outs.
kill -INT "$msrun" 2>/dev/null || true
wait "$msrun" || true
# shellcheck disable=SC2046
kill -KILL $(here | cut -d ' ' -f 2) 2>/dev/null || true
await_workers # so that their devices are free for the next run
read -r process code <<<"$ended"
report "$process" "$code" >&2
exit $((code < 0 ? 128 - code : code))
