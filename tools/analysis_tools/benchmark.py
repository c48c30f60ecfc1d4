"""Measures the speed of a config on this machine.

- loader: batches of the training data loader, with its workers.
- label_pass: prediction of the batch's unlabeled clips, for their pseudo-labels.
- train_step: preprocessor with augmentation, losses, backward and optimizer, on one
  batch in memory, with pseudo-labels for its unlabeled clips.
- inference: preprocessor and prediction of a validation batch in memory.

A training iteration takes train_step + label_pass, or the loader's time where that is
longer. clips/s is the mean over all measured iterations.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmxpl.utils.cli import (
    add_config_options,
    add_method,
    load_config,
    number_in,
    one_clear_error,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--task',
        nargs='+',
        choices=list(TASKS),
        default=list(TASKS),
        help='what to measure (default: all)',
    )
    parser.add_argument(
        '--num-iters',
        type=number_in(1),
        default=20,
        help='measured iterations (default: 20)',
    )
    parser.add_argument(
        '--num-warmup',
        type=number_in(0),
        default=3,
        help='iterations before them (default: 3)',
    )
    add_method(parser)
    add_config_options(parser)
    return parser.parse_args(argv)


def measure(step: Callable[[], Any], args: argparse.Namespace) -> list[float]:
    """Measures the duration of each call of a step, in seconds."""
    import torch

    synchronize = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    seconds = []
    for number in range(args.num_warmup + args.num_iters):
        synchronize()
        start = time.perf_counter()
        step()
        synchronize()
        if number >= args.num_warmup:
            seconds.append(time.perf_counter() - start)
    return seconds


def endless(loader: Any) -> Iterator[dict]:
    """Yields batches, epoch after epoch."""
    while True:
        yield from loader


def loader(cfg: Any, learner: Any) -> tuple[Callable[[], Any], int]:
    """Prepares loading: a step is one batch, returned with its number of clips."""
    from mmengine.runner import Runner

    built = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    batches = endless(built)
    return lambda: next(batches), built.batch_size


def label_pass(cfg: Any, learner: Any) -> tuple[Callable[[], Any], int]:
    """Prepares prediction of the unlabeled clips of a batch."""
    import torch

    batch = learner.data_preprocessor.prepare(first_batch(cfg.train_dataloader))
    rows = [n for n, s in enumerate(batch['data_samples']) if not s.is_labeled]
    inputs = {name: tensor[rows] for name, tensor in batch['inputs'].items()}

    def step() -> None:
        learner.eval()
        with torch.no_grad():
            learner.predict_maps(inputs)

    return step, len(rows)


def train_step(cfg: Any, learner: Any) -> tuple[Callable[[], Any], int]:
    """Prepares training: one step of the optimizer."""
    import torch
    from mmengine.optim import build_optim_wrapper

    batch = first_batch(cfg.train_dataloader)
    learner.eval()
    with torch.no_grad():
        maps = learner.predict_maps(learner.data_preprocessor.prepare(batch)['inputs'])
    for n, sample in enumerate(batch['data_samples']):
        if not sample.is_labeled:
            sample.pseudo_label = torch.stack([one[n] for one in maps.values()])
    optim_wrapper = build_optim_wrapper(learner, cfg.optim_wrapper)
    learner.train()

    def step() -> None:
        # augmentation changes the samples in place
        samples = [sample.clone() for sample in batch['data_samples']]
        learner.train_step({**batch, 'data_samples': samples}, optim_wrapper)

    return step, len(batch['data_samples'])


def inference(cfg: Any, learner: Any) -> tuple[Callable[[], Any], int]:
    """Prepares prediction of a validation batch."""
    import torch

    batch = first_batch(cfg.val_dataloader)
    learner.eval()

    def step() -> None:
        with torch.no_grad():
            learner.val_step(batch)

    return step, len(batch['data_samples'])


def first_batch(cfg: dict) -> dict:
    """Loads one batch in this process."""
    from mmengine.runner import Runner

    alone = dict(cfg, num_workers=0, persistent_workers=False)
    return next(iter(Runner.build_dataloader(alone, seed=0)))


TASKS = dict(
    loader=loader, label_pass=label_pass, train_step=train_step, inference=inference
)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    args = parse_args(argv)
    with one_clear_error():
        needs = ('model', 'train_dataloader')
        cfg = load_config(args.config, args.cfg_options, args.method, needs)

        # imported late, so that a wrong argument is reported at once
        import torch
        from mmengine.device import get_device

        from mmxpl.datasets.samplers import set_batch_size
        from mmxpl.registry import MODELS, register_all_modules

        register_all_modules()
        set_batch_size(cfg.train_dataloader)
        device = get_device()
        name = 'CPU' if device == 'cpu' else torch.cuda.get_device_name()
        print(
            f'{name}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}; '
            f'{args.num_iters} iterations after {args.num_warmup}'
        )
        print(f'{"":12}{"clips":>6}{"median":>11}{"slowest":>11}{"clips/s":>10}')
        for task in args.task:
            torch.manual_seed(0)
            learner = MODELS.build(cfg.model).to(device)
            step, clips = TASKS[task](cfg, learner)
            seconds = measure(step, args)
            median = statistics.median(seconds)
            print(
                f'{task:12}{clips:6}{1e3 * median:8.1f} ms{1e3 * max(seconds):8.1f} ms'
                f'{clips / (sum(seconds) / len(seconds)):10.1f}'
            )
        if device == 'cuda':
            peak = torch.cuda.max_memory_allocated() / 2**30
            print(f'peak of GPU memory: {peak:.2f} GiB')


if __name__ == '__main__':
    main()
