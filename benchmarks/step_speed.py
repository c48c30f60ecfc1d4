"""Speed of a training step against the same computation done bare.

*Bare* is :class:`BareStep`: tensors in, one optimizer step, in a plain loop without
MMEngine's runner and hooks, data samples and bank. It has the networks, losses and
augmentation of the config, labels the unlabeled clips by a forward in evaluation mode,
sharpens the labels, exchanges and warps them, and does nothing else. Ground truth is
averaged over the cells of the maps first and is warped there.

XPL's step is an iteration of its loop, with every hook of the config that acts in an
iteration. Both get the same noise, from memory, in turns: loading is timed for neither.
On a busy machine the ratio of CPU times is the steadier one.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mmxpl  # noqa: F401  (before PyTorch, whose threads wait as it says)

# isort: split
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor

from mmxpl.engine import ResumableTrainLoop
from mmxpl.engine.runner import build_runner
from mmxpl.registry import DATASETS, LOOPS, MODELS
from mmxpl.structures import AVDataSample, rasterize_boxes, warp

WARM_UP = 2  # steps that are not timed


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='such as configs/xpl/xpl_synthetic.py')
    parser.add_argument(
        '--batch',
        type=int,
        nargs=2,
        metavar=('LABELED', 'UNLABELED'),
        help="clips of a step (default: the config's)",
    )
    parser.add_argument('--steps', type=int, default=40, help='timed (default: 40)')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    parser.add_argument('--seconds', type=float, default=120, help='end after')
    return parser.parse_args()


class NoiseClips(torch.utils.data.Dataset):
    """Clips of noise in memory, labeled ones with a box."""

    def __init__(self, count: int, labeled: bool, size, samples: int) -> None:
        generator = torch.Generator().manual_seed(int(labeled))
        self.sample_ids = [f'{"ul"[labeled]}{index}' for index in range(count)]
        self.items = []
        for index, name in enumerate(self.sample_ids):
            sample = AVDataSample(
                metainfo=dict(sample_id=name, sample_idx=index, is_labeled=labeled)
            )
            if labeled:
                corner = torch.rand(2, generator=generator).double() / 2
                boxes = torch.cat([corner, corner + 0.4])[None]
                sample.gt_map = rasterize_boxes(boxes)
                sample.gt_instances = InstanceData(bboxes=boxes)
            img = torch.randint(256, (3, *size), generator=generator).to(torch.uint8)
            audio = torch.rand(samples, generator=generator) * 2 - 1
            self.items.append((dict(img=img, audio=audio), sample))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        inputs, sample = self.items[index]
        return dict(inputs=inputs, data_samples=copy.deepcopy(sample))


@DATASETS.register_module()
class NoiseData(torch.utils.data.ConcatDataset):
    """Labeled, then unlabeled clips of noise."""

    metainfo = {}

    def __init__(self, labeled: int, unlabeled: int, **shape) -> None:
        super().__init__(
            [NoiseClips(labeled, True, **shape), NoiseClips(unlabeled, False, **shape)]
        )

    def full_init(self) -> None:
        """Does nothing; MMEngine's loaders call it."""


class BareStep:
    """A training step of XPL in a plain loop.

    Args:
        cfg (Config): of an XPL of two localizers with augmentation.
        device (str): where to compute.
    """

    def __init__(self, cfg: Config, device: str = 'cpu') -> None:
        torch.backends.cudnn.benchmark = cfg.env_cfg.cudnn_benchmark
        model = MODELS.build(cfg.model)
        model.init_weights()
        model.to(device).train()
        self.device = device
        self.nets = model.localizers
        self.losses = model.loss_supervised, model.loss_pseudo, model.loss_contrastive
        parts = model.data_preprocessor
        self.front_ends, self.mean, self.std = parts.audio, parts.mean, parts.std
        self.augmentation = parts.augmentation
        self.sharpness = 1 / cfg.default_hooks.pseudo_label.temperature
        self.weights = [p for p in self.nets.parameters() if p.requires_grad]
        optimizer = dict(cfg.optim_wrapper.optimizer)
        self.optimizer = getattr(torch.optim, optimizer.pop('type'))(
            self.weights, **optimizer
        )
        self.max_norm = cfg.optim_wrapper.clip_grad.max_norm

    def __call__(self, img: Tensor, audio: Tensor, truth: Tensor) -> Tensor:
        """Trains on a batch, labeled clips first.

        Args:
            img (Tensor): (B, 3, H, W) uint8, BGR.
            audio (Tensor): (B, T).
            truth (Tensor): (L, S, S), the ground truth of the labeled clips.

        Returns:
            Tensor: the loss.
        """
        img, audio, truth = (x.to(self.device) for x in (img, audio, truth))
        labeled, mean, std = len(truth), self.mean, self.std
        img = img.flip(1).float()
        inputs = {name: front_end(audio) for name, front_end in self.front_ends.items()}
        plain = {name: x[labeled:] for name, x in inputs.items()}
        plain['img'] = (img[labeled:] - mean) / std
        with torch.no_grad():
            self.nets.eval()
            logits = [net(plain).logits for net in self.nets.values()]
            self.nets.train()
            labels = (torch.stack(logits, dim=1) * self.sharpness).sigmoid()
        draws = torch.rand(len(img), self.augmentation.NUM_DRAWS, device=self.device)
        theta = self.augmentation.affine(draws)
        img = warp((self.augmentation.recolour(img, draws) - mean) / std, theta)
        inputs['img'] = img
        truth = F.adaptive_avg_pool2d(truth[:, None], labels.shape[2:])
        truth = warp(truth, theta[:labeled])[:, 0]
        labels = warp(labels.roll(1, dims=1), theta[labeled:])
        supervised, pseudo, contrastive = self.losses
        loss = 0
        for place, net in enumerate(self.nets.values()):
            out = net(inputs)
            loss = loss + supervised(out.logits[:labeled], truth)
            loss = loss + pseudo(out.logits[labeled:], labels[:, place])
            loss = loss + contrastive(out.visual, out.audio)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, self.max_norm)
        self.optimizer.step()
        return loss.detach()


def tensors_of(batch: dict) -> tuple[Tensor, Tensor, Tensor]:
    """What :class:`BareStep` takes of a batch of the data loader."""
    maps = [s.gt_map for s in batch['data_samples'] if s.is_labeled]
    return batch['inputs']['img'], batch['inputs']['audio'], torch.stack(maps)


def timed(run: Callable[[], object]) -> np.ndarray:
    """Wall and CPU seconds of a call, with what it leaves to a GPU."""
    start = _clocks()
    run()
    return _clocks() - start


def _clocks() -> np.ndarray:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


@LOOPS.register_module()
class TimedLoop(ResumableTrainLoop):
    """A training loop that times its iterations, alternating with bare steps.

    ``clocks`` gets wall and CPU seconds of each iteration, (2, 2): bare, then XPL's; or
    (1, 2) without :attr:`bare`. It and ``until``, the :func:`time.perf_counter` to end
    at, are set before the training.
    """

    bare: BareStep | None = None
    until = float('inf')

    def _batches(self, done: int) -> Iterator[dict]:
        self.clocks = []
        for batch in super()._batches(done):
            if time.perf_counter() > self.until and len(self.clocks) > WARM_UP:
                return
            yield batch

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Runs and times both, each first in turn."""
        parent = super().run_iter
        runs = [lambda: parent(idx, data_batch)]
        if self.bare is not None:
            tensors = tensors_of(data_batch)
            runs.insert(0, lambda: self.bare(*tensors))
        clocks = np.zeros((len(runs), 2))
        for which in range(len(runs))[:: 1 if idx % 2 else -1]:
            clocks[which] = timed(runs[which])
        self.clocks.append(clocks)


def noise_config(
    path: str, batch: tuple[int, int] | None, steps: int, work_dir: str
) -> Config:
    """Reads a config and gives it noise of its sizes instead of data.

    The training is one epoch with pseudo-labels from the first step, without
    validation, checkpoints and pictures.
    """
    cfg = Config.fromfile(path)
    # logger and visualizer are found by these names, also by a later runner
    cfg.work_dir = cfg.visualizer.name = work_dir
    cfg.experiment_name = Path(work_dir).name
    loader, sampler = cfg.train_dataloader, cfg.train_dataloader.sampler
    if batch is not None:
        sampler.labeled_per_batch, sampler.unlabeled_per_batch = batch
    sampler.num_batches = steps
    loader.dataset = dict(
        type='NoiseData',
        labeled=sampler.labeled_per_batch,
        unlabeled=sampler.unlabeled_per_batch,
        size=cfg.img_size,
        samples=round(cfg.duration * cfg.sample_rate),
    )
    loader.num_workers, loader.persistent_workers = 0, False
    cfg.train_cfg.update(max_epochs=1, warmup_epochs=0)
    for split in ('val', 'test'):
        for part in ('dataloader', 'evaluator', 'cfg'):
            cfg[f'{split}_{part}'] = None
    for name in (
        'checkpoint',
        'preemption',
        'visualization',
        'pseudo_label_strip',
        'pseudo_label_monitor',
    ):
        cfg.default_hooks[name] = None
    return cfg


def main() -> None:
    """Measures both in turns."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        cfg = noise_config(args.config, args.batch, args.steps + WARM_UP, folder)
        cfg.train_cfg.type = 'TimedLoop'
        bare = BareStep(cfg)
        runner = build_runner(cfg)
        loop = runner.train_loop
        loop.bare, loop.until = bare, time.perf_counter() + args.seconds
        runner.train()
    clocks = np.array(loop.clocks[WARM_UP:])
    sampler = cfg.train_dataloader.sampler
    print(
        f'{args.config}: {len(clocks)} steps of {sampler.labeled_per_batch} labeled + '
        f'{sampler.unlabeled_per_batch} unlabeled clips, {args.threads} threads'
    )
    medians = 1000 * np.median(clocks, axis=0)
    ratios = np.median(clocks[:, 1] / clocks[:, 0], axis=0)
    for k, clock in enumerate(('wall', 'CPU')):
        print(
            f'{clock} time: bare {medians[0, k]:.1f} ms a step, XPL '
            f'{medians[1, k]:.1f} ms a step, ratio {ratios[k]:.3f}'
        )
    print('(medians over steps; goal: ratio <= 1.05)')


if __name__ == '__main__':
    main()
