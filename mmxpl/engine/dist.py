"""Distributed training on the CPU."""

import datetime
import os
import time

import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_dist_info

from mmxpl.utils.errors import DataError
from mmxpl.utils.nested import type_name

_OF_TORCHRUN = ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
# seconds that processes wait for each other if the config sets nothing
TIMEOUT = 600
# seconds in which a living process answers after that
_PATIENCE = 5
_LOST = ('gloo', 'NCCL', 'Connection closed', 'Connection reset', 'Timed out waiting')


def use_cpu_dist(cfg: Config) -> bool:
    """Prepares a distributed run on the CPU, and says whether it is one.

    MMEngine assumes an accelerator: with ``launcher='pytorch'`` it selects a CUDA
    device and wraps the model for one. Without an accelerator this function therefore
    starts the process group with the gloo backend and sets ``model_wrapper_cfg``. With
    one it only sets the timeout in ``env_cfg.dist_cfg``, if the config sets none; in a
    single process it does nothing.

    Raises a DataError if the processes were started by Slurm or MPI without GPUs, or
    not by the launcher.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return False
    lacking = [name for name in _OF_TORCHRUN if name not in os.environ]
    if launcher == 'pytorch' and lacking:
        raise DataError(
            f'--launcher pytorch: {", ".join(lacking)} are not set in the environment. '
            'Start the processes with tools/dist_train.sh, tools/dist_test.sh or '
            'torchrun, or leave --launcher out for a single one.'
        )
    env_cfg = cfg.get('env_cfg') or {}
    dist_cfg = {'timeout': TIMEOUT, **(env_cfg.get('dist_cfg') or {})}
    cfg.env_cfg = {**env_cfg, 'dist_cfg': dist_cfg}
    if get_device() != 'cpu':
        return False
    if launcher != 'pytorch':
        raise DataError(
            f'--launcher {launcher} needs GPUs. On the CPU start the processes with '
            'tools/dist_train.sh or torchrun, and use --launcher pytorch.'
        )
    cfg.env_cfg.dist_cfg.backend = 'gloo'
    if not dist.is_initialized():
        timeout = dist_cfg['timeout']
        if timeout is not None:  # else PyTorch's
            timeout = datetime.timedelta(seconds=timeout)
        # from the variables that torchrun has set
        dist.init_process_group('gloo', timeout=timeout)
    # as MMEngine where the config has no wrapper
    default = dict(
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    wrapper = dict(cfg.get('model_wrapper_cfg') or default)
    if wrapper.get('type') == 'mmxpl.CPUDistributedDataParallel':
        del wrapper['type']  # of the dumped config of a former version
    if type_name(wrapper) in ('', 'MMDistributedDataParallel'):
        # the Runner would pass the local rank, which PyTorch refuses on the CPU
        wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper
    return True


def explain_lost_rank(error: RuntimeError) -> str | None:
    """Explains the error of a process that has lost another one; None for other errors.

    The message names the ranks that do not answer.
    """
    text = str(error)
    if not (dist.is_available() and dist.is_initialized()):
        return None
    if not isinstance(error, dist.DistError) and not any(w in text for w in _LOST):
        return None
    silent = _silent_ranks()
    who = f'rank {", ".join(map(str, silent))}' if silent else 'a rank'
    return (
        f'Rank {dist.get_rank()} has lost {who} of {dist.get_world_size()}: its '
        'process was ended, or it has stopped and did not answer in time '
        '(env_cfg.dist_cfg.timeout). Look at its messages, its machine and its file '
        'system, and go on from the last checkpoint with --resume.'
    )


def _silent_ranks() -> list[int]:
    """Finds ranks that do not answer over the store; every rank calls it."""
    store = dist.distributed_c10d._get_default_store()
    rank, world_size = get_dist_info()
    hosted = os.environ.get('TORCHELASTIC_USE_AGENT_STORE') != 'True'
    key = 'mmxpl/rank {} has lost another'

    def answers(other: int, seconds: float) -> bool:
        timeout = datetime.timedelta(seconds=max(seconds, 0.1))
        try:
            store.wait([key.format(other)], timeout)
        except RuntimeError:
            return False
        return True

    try:
        store.set(key.format(rank), '')
    except RuntimeError:
        return [0] if hosted else []
    # the store is in the process of rank 0, unless the launcher hosts it
    if not answers(rank, _PATIENCE):
        return [0] if hosted else []
    end = time.monotonic() + _PATIENCE
    return [
        other
        for other in range(world_size)
        if not answers(other, end - time.monotonic())
    ]


def close_dist() -> None:
    """Ends a distributed run after its work is done.

    Without it, a process that uses gloo may abort at its exit while another one is
    still connected, and the launcher reports a failure. It waits for all ranks: every
    rank calls it, but not after an exception.
    """
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
