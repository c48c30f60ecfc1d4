"""Two gloo processes see the contrastive losses, and gradients, of one."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmxpl.models.losses import (
    FNACLoss,
    LVSLoss,
    MaxMILContrastiveLoss,
    SLAVCLoss,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('warm_spawn')]
LOSSES = (MaxMILContrastiveLoss, LVSLoss, SLAVCLoss, FNACLoss)
SIZE = 6


def compute(rows):
    """Loss and gradients of some rows of the global batch, by name of the loss."""
    outcome = {}
    for kind in LOSSES:
        generator = torch.Generator().manual_seed(4)
        visual, audio = (
            torch.nn.functional.normalize(
                torch.randn(*shape, generator=generator), dim=1
            )[rows].requires_grad_()
            for shape in ((SIZE, 8, 2, 3), (SIZE, 8))
        )
        loss = kind(temperature=0.2)(visual, audio)
        loss.backward()
        outcome[kind.__name__] = (loss.detach(), visual.grad, audio.grad)
    return outcome


def process(rank, port, folder):
    os.environ.update(
        RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    half = SIZE // 2
    rows = slice(rank * half, (rank + 1) * half)
    torch.save(compute(rows), f'{folder}/{rank}.pth')
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    mp.start_processes(process, (port, str(tmp_path)), nprocs=2, start_method='spawn')
    parts = [torch.load(tmp_path / f'{rank}.pth') for rank in range(2)]
    for name, (loss, *grads) in compute(slice(None)).items():
        for part in parts:
            torch.testing.assert_close(part[name][0], loss, msg=name)
        for which, grad in enumerate(grads, 1):
            # the mean over ranks, as the wrapper takes it
            both = torch.cat([part[name][which] for part in parts]) / 2
            torch.testing.assert_close(both, grad, rtol=1e-4, atol=1e-5, msg=name)
