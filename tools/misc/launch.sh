# Sourced by dist_train.sh and dist_test.sh.

# launch PROCESSES SCRIPT [ARGUMENTS]: starts SCRIPT through torchrun.
launch() {
    local processes=$1
    shift
    if ! [[ $processes =~ ^[1-9][0-9]*$ ]]; then
        echo "error: GPUS must be a positive number, got '$processes'" >&2
        exit 2
    fi
    local where
    if [[ ${NNODES:-1} == 1 && -z ${PORT:-} ]]; then
        where=(--standalone)
    else
        where=(
            --nnodes "${NNODES:-1}"
            --node-rank "${NODE_RANK:-0}"
            --master-addr "${MASTER_ADDR:-127.0.0.1}"
            --master-port "${PORT:-29500}"
        )
    fi
    # each process computes on its own device; on the CPU they share the cores
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    exec "${PYTHON:-python}" -m torch.distributed.run \
        "${where[@]}" --nproc-per-node "$processes" "$@"
}
