#!/usr/bin/env bash
# Tests in several processes, one for each GPU, or on the CPU if there is none.
#
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
#
# The variables are those of dist_train.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/misc/launch.sh"

if (($# < 3)); then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
    exit 2
fi
config=$1
checkpoint=$2
gpus=$3
shift 3
launch "$gpus" "$here/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
