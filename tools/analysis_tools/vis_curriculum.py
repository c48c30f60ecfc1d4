"""Draws the curriculum: its schedule, and the clips that it selects.

Writes schedule.png, the share rho of unlabeled clips that each epoch draws from.
With --checkpoint also reliability.png, the reliability of all and of the selected
clips, and selection.png: selected clips on the left, the most reliable first, and
others on the right, the least reliable last.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mmxpl.datasets.dataset_wrappers import dataset_config
from mmxpl.engine.optim import count_warmup_epochs
from mmxpl.utils import DataError
from mmxpl.utils.cli import (
    add_config_options,
    add_method,
    load_config,
    make_folder,
    number_in,
    one_clear_error,
)
from mmxpl.utils.nested import walk

# what decides which clips a training draws from
CHOICE = (
    'train_cfg.max_epochs',
    'train_cfg.warmup_epochs',
    'train_dataloader.sampler.curriculum',
    'default_hooks.pseudo_label.reliability',
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--checkpoint',
        metavar='CKPT',
        help='checkpoint of training, not a published one',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/curriculum'),
        metavar='DIR',
        help='folder to write to (default: work_dirs/curriculum)',
    )
    parser.add_argument(
        '--num',
        type=number_in(1),
        default=6,
        help='number of clips on each side (default: 6)',
    )
    add_method(parser)
    add_config_options(parser)
    return parser.parse_args(argv)


def build_sampler(cfg: Any, num_unlabeled: int) -> Any:
    """Builds the config's sampler without its data.

    Raises a DataError if it is not a CurriculumSampler.
    """
    from mmxpl.datasets import CurriculumSampler
    from mmxpl.registry import DATA_SAMPLERS, find_class

    data = SimpleNamespace(datasets=[range(1), range(num_unlabeled)])
    options = dict(cfg.train_dataloader.get('sampler') or {})
    if find_class(options) is not CurriculumSampler:
        raise DataError(
            f'train_dataloader.sampler is {options.get("type")!r}, which has no '
            'curriculum. Name a config with a CurriculumSampler.'
        )
    sampler = DATA_SAMPLERS.build(dict(options, dataset=data, seed=0))
    sampler.set_schedule(warmup_epochs(cfg), cfg.train_cfg.max_epochs)
    return sampler


def schedule(cfg: Any) -> list[float]:
    """Computes rho of every epoch; it is 1 as long as there are no pseudo-labels."""
    import torch

    sampler, shares = build_sampler(cfg, 1), []
    warmup, num_epochs = sampler.schedule
    for epoch in range(num_epochs):
        if epoch == warmup:
            sampler.set_reliability(torch.ones(1))
        sampler.set_epoch(epoch)
        shares.append(sampler.share)
    return shares


def warmup_epochs(cfg: Any) -> int:
    """Counts the epochs without pseudo-labels; if all are, that is a DataError."""
    if not cfg.get('default_hooks', {}).get('pseudo_label'):
        raise DataError(
            'the config has no default_hooks.pseudo_label, so nothing is chosen.'
        )
    return count_warmup_epochs(
        cfg.train_cfg.get('warmup_epochs', 0), cfg.train_cfg.max_epochs
    )


def draw_schedule(shares: Sequence[float], warmup: int, path: Path) -> None:
    """Writes the schedule as a picture."""
    from matplotlib.ticker import MaxNLocator

    from mmxpl.visualization.charts import COLOURS, new_figure, save_figure

    figure = new_figure(7, 3, dpi=130)
    axes = figure.add_subplot()
    epochs = range(1, len(shares) + 1)
    axes.bar(epochs[:warmup], shares[:warmup], color='0.8', label='no pseudo-labels')
    axes.bar(
        epochs[warmup:], shares[warmup:], color=COLOURS[0], label='with pseudo-labels'
    )
    axes.set(xlabel='Epoch', ylabel='Share of unlabeled clips', ylim=(0, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='outside upper left', frameon=False, ncols=2)
    save_figure(figure, path)


def spread(indices: Any, num: int) -> list[int]:
    """Takes evenly spaced indices of a ranking, both ends included."""
    import torch

    places = torch.linspace(0, len(indices) - 1, min(num, len(indices))).round().long()
    return indices[places].tolist()


def draw_clip(visualizer: Any, dataset: Any, memory: Any, index: int, how: str) -> Any:
    """Draws a clip with its pseudo-labels, RGB uint8."""
    import torch

    from mmxpl.structures import AVDataSample
    from mmxpl.visualization import read_picture

    info = dataset.get_data_info(index)
    labels, detail = memory.describe(index)
    sample = AVDataSample(
        metainfo=dict(
            sample_id=f'{info["sample_id"]}: {how}',
            category=detail,
            localizers=list(labels),
        )
    )
    if labels:
        sample.pseudo_label = torch.stack(list(labels.values()))
    frame = read_picture(info['img_path'])
    return visualizer.draw(frame, sample, draw_pseudo_label=True)


def refuse_other_run(cfg: Any, trained: Any, checkpoint: str) -> None:
    """Raises a DataError if a checkpoint's training chose clips in another way."""
    settings = [
        {'.'.join(path): value for path, value in walk(one._cfg_dict.to_dict())}
        for one in (cfg, trained)
    ]
    for key in CHOICE:
        own, former = (one.get(key) for one in settings)
        # a list means the same as a tuple, None as 0
        texts = [json.dumps(value or 0, sort_keys=True) for value in (own, former)]
        if texts[0] != texts[1]:
            raise DataError(
                f'--checkpoint {checkpoint}: is of a run with {key}={former}, the '
                f'config has {own}. Give the config of that run, or set it alike.'
            )


def draw_selection(cfg: Any, args: argparse.Namespace) -> str:
    """Writes the selection of a checkpoint's next epoch; returns a line on it."""
    import numpy as np
    import torch

    from mmxpl.pseudo_labels.label_memory import LabelMemory
    from mmxpl.registry import DATASETS
    from mmxpl.visualization import (
        AVLocVisualizer,
        contact_sheet,
        reliability_histogram,
        write_picture,
    )

    dataset = DATASETS.build(dataset_config(cfg, 'unlabeled'))
    memory = LabelMemory(args.checkpoint, dataset.sample_ids, cfg)
    refuse_other_run(cfg, memory.cfg or cfg, args.checkpoint)
    sampler = build_sampler(cfg, len(dataset))
    sampler.set_reliability(memory.scores)
    # after the last epoch: what that one drew from, by the labels it left
    epoch = min(memory.epoch, cfg.train_cfg.max_epochs - 1)
    sampler.set_epoch(epoch)
    chosen = torch.zeros(len(dataset), dtype=torch.bool)
    chosen[sampler.selected()] = True
    write_picture(
        reliability_histogram(memory.scores, chosen), args.out / 'reliability.png'
    )
    order = memory.ranks.argsort()
    sides = [spread(order[chosen[order]], args.num)]
    if not chosen.all():
        sides.append(spread(order[~chosen[order]], args.num))
    visualizer = AVLocVisualizer('curriculum')
    rows = []
    for place in range(max(map(len, sides))):
        for side, how in zip(sides, ('chosen', 'not chosen'), strict=False):
            if place < len(side):
                index = side[place]
                rows.append(draw_clip(visualizer, dataset, memory, index, how))
            else:
                rows.append(np.full((1, 1, 3), 255, np.uint8))  # an empty cell
    write_picture(contact_sheet(rows, len(sides), 4), args.out / 'selection.png')
    mean = [float(memory.scores[some].mean()) for some in (chosen, ~chosen)]
    return (
        f'epoch {epoch + 1} draws from {int(chosen.sum())} of {len(dataset)} clips '
        f'(rho {sampler.share:.3f}): reliability {mean[0]:.3f} on average'
        + ('' if chosen.all() else f', {mean[1]:.3f} of the others')
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Draws and reports."""
    args = parse_args(argv)
    with one_clear_error():
        needs = ('train_dataloader', 'train_cfg')
        cfg = load_config(args.config, args.cfg_options, args.method, needs)
        warmup, shares = warmup_epochs(cfg), schedule(cfg)
        make_folder(args.out, '--out')
        draw_schedule(shares, warmup, args.out / 'schedule.png')
        print(
            f'{args.out}: {len(shares)} epochs, {warmup} without pseudo-labels; rho '
            + ' '.join(f'{share:.2f}' for share in shares[warmup:])
        )
        if args.checkpoint:
            print(draw_selection(cfg, args))


if __name__ == '__main__':
    main()
