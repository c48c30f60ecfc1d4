#!/usr/bin/env bash
# Trains in several processes, one for each GPU, or on the CPU if there is none.
#
#   tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
#
# One machine: a free port is found unless PORT is set. Several machines: run it
# on each with NNODES, NODE_RANK (0 on the one that MASTER_ADDR names),
# MASTER_ADDR and PORT. PYTHON is the interpreter (default: python).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/misc/launch.sh"

if (($# < 2)); then
    echo "usage: $0 CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi
config=$1
gpus=$2
shift 2
launch "$gpus" "$here/train.py" "$config" --launcher pytorch "$@"
