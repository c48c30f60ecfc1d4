# Sourced by slurm_train.sh and slurm_test.sh.

# submit PARTITION JOB_NAME SCRIPT [ARGUMENTS]: runs one task for each GPU.
submit() {
    local partition=$1 job_name=$2
    shift 2
    local gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
    if ((gpus < per_node)); then
        per_node=$gpus
    fi
    local more
    read -ra more <<<"${SRUN_ARGS:-}"
    exec srun --partition "$partition" --job-name "$job_name" \
        --gres "gpu:$per_node" --ntasks "$gpus" --ntasks-per-node "$per_node" \
        --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
        ${more[@]+"${more[@]}"} "${PYTHON:-python}" -u "$@"
}
