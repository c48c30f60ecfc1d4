"""Runs several processes on a machine without a GPU."""

import datetime

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_dist_info
from torch import Tensor

from mmxpl.utils.errors import DataError

from . import model_wrappers  # noqa: F401  registers the wrapper named below

_WRAPPER = 'mmxpl.CPUDistributedDataParallel'


def use_cpu_dist(cfg: Config) -> bool:
    """Prepares a distributed run on the CPU where there is no accelerator.

    MMEngine assumes an accelerator: with ``launcher='pytorch'`` it selects a
    CUDA device, and it wraps the model for one. It leaves a process group alone
    that exists already, and takes another wrapper from the config. So this
    function starts the group with the gloo backend and names the wrapper. On a
    machine with an accelerator, or in a single process, it does nothing.

    Args:
        cfg (Config): Config of the run; ``launcher`` is read,
            ``model_wrapper_cfg`` and ``env_cfg.dist_cfg`` are changed in place.

    Returns:
        bool: Whether the run is distributed over the CPU.

    Raises:
        DataError: If the processes were started by Slurm or MPI.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or get_device() != 'cpu':
        return False
    if launcher != 'pytorch':
        raise DataError(
            f'--launcher {launcher} needs GPUs. On the CPU start the processes with '
            'tools/dist_train.sh or torchrun, and use --launcher pytorch.'
        )
    dist_cfg = cfg.setdefault('env_cfg', {}).setdefault('dist_cfg', {})
    dist_cfg['backend'] = 'gloo'
    _init_gloo(dist_cfg.get('timeout'))
    wrapper = dict(cfg.get('model_wrapper_cfg') or _default_wrapper(cfg))
    if wrapper.get('type', 'MMDistributedDataParallel') == 'MMDistributedDataParallel':
        wrapper['type'] = _WRAPPER
    cfg.model_wrapper_cfg = wrapper
    return True


def _default_wrapper(cfg: Config) -> dict:
    """Repeats what MMEngine chooses where a config names no wrapper."""
    return {
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }


def _init_gloo(timeout: float | None) -> None:
    """Starts the process group from the variables that torchrun has set."""
    if dist.is_initialized():
        return
    limits = {} if timeout is None else {'timeout': datetime.timedelta(seconds=timeout)}
    dist.init_process_group('gloo', **limits)


def own_share(of_ranks: Tensor) -> Tensor:
    """Picks a rank's own part of a sum that was saved in parts.

    Args:
        of_ranks (Tensor): (W, ...) parts of the W ranks of a former run.

    Returns:
        Tensor: (...), this rank's part; where there are more or fewer ranks now,
        the whole sum on the first rank and 0 on the others.
    """
    rank, world_size = get_dist_info()
    if len(of_ranks) == world_size:
        return of_ranks[rank].clone()
    total = of_ranks.sum(dim=0)
    return total if rank == 0 else torch.zeros_like(total)


def close_dist() -> None:
    """Ends a distributed run in an orderly way, after its work is done.

    Without it, a process that uses gloo may abort at its exit while another one
    is still connected, and the launcher reports a failure. Call it on every rank,
    and not after an exception: it waits for the others.
    """
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
