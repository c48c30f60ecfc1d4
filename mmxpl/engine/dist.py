"""Distributed training on the CPU."""

import datetime
import os
import time

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_dist_info
from mmengine.model import MMDistributedDataParallel
from torch import Tensor, nn

from mmxpl.registry import MODEL_WRAPPERS
from mmxpl.utils.errors import DataError


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's wrapper for processes that compute on the CPU.

    The Runner gives every wrapper the local rank as its device, which PyTorch
    refuses for a model on the CPU.

    Args:
        module (nn.Module): The model, on the CPU.
        device_ids (list[int], optional): Ignored.
        **kwargs: Arguments of :class:`MMDistributedDataParallel`.
    """

    def __init__(
        self, module: nn.Module, device_ids: list[int] | None = None, **kwargs
    ) -> None:
        super().__init__(module=module, device_ids=None, **kwargs)


_WRAPPER = 'mmxpl.CPUDistributedDataParallel'
# seconds that processes wait for one of them, where the config says nothing
TIMEOUT = 600
# seconds in which a process that is alive answers after that
_PATIENCE = 5
_LOST = ('gloo', 'NCCL', 'Connection closed', 'Connection reset', 'Timed out waiting')


def use_cpu_dist(cfg: Config) -> bool:
    """Prepares a distributed run on the CPU where there is no accelerator.

    MMEngine assumes an accelerator: with ``launcher='pytorch'`` it selects a
    CUDA device, and it wraps the model for one. It leaves a process group alone
    that exists already, and takes another wrapper from the config. So this
    function starts the group with the gloo backend and names the wrapper. On a
    machine with an accelerator it sets the time that processes wait for each other,
    if the config sets none, and in a single process it does nothing.

    Args:
        cfg (Config): Config of the run; ``launcher`` is read,
            ``model_wrapper_cfg`` and ``env_cfg.dist_cfg`` are changed in place.

    Returns:
        bool: Whether the run is distributed over the CPU.

    Raises:
        DataError: If the processes were started by Slurm or MPI.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return False
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
    _init_gloo(dist_cfg['timeout'])
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


def _init_gloo(timeout: float) -> None:
    """Starts the process group from the variables that torchrun has set."""
    if not dist.is_initialized():
        dist.init_process_group('gloo', timeout=datetime.timedelta(seconds=timeout))


def explain_lost_rank(error: RuntimeError) -> str | None:
    """Words the error of a process that has lost another one.

    Args:
        error (RuntimeError): What a collective operation ended with.

    Returns:
        str | None: One message, which names the ranks that do not answer; None if it
        is about something else.
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
    """Asks all ranks over the store whether they are there; each does so."""
    store = dist.distributed_c10d._get_default_store()
    rank, world_size = get_dist_info()
    hosted = os.environ.get('TORCHELASTIC_USE_AGENT_STORE') != 'True'

    def answers(other: int, seconds: float) -> bool:
        try:
            store.wait([_key(other)], datetime.timedelta(seconds=max(seconds, 0.1)))
        except RuntimeError:
            return False
        return True

    try:
        store.set(_key(rank), '')
    except RuntimeError:
        return [0] if hosted else []
    # the store itself is in the process of rank 0, unless the launcher has it
    if not answers(rank, _PATIENCE):
        return [0] if hosted else []
    end = time.monotonic() + _PATIENCE
    return [
        other
        for other in range(world_size)
        if not answers(other, end - time.monotonic())
    ]


def _key(rank: int) -> str:
    return f'mmxpl/rank {rank} has lost another'


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
