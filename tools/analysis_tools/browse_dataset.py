"""Draws samples as training sees them: frame, labels, sound, augmented views.

Writes one PNG for each sample. The pictures come from the config's own pipeline and
data preprocessor, so errors there become visible. From a checkpoint of training,
also draws the pseudo-labels of unlabeled clips with their reliability.
"""

import argparse
import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from mmxpl.datasets.dataset_wrappers import PARTS, dataset_config, media_pipeline
from mmxpl.datasets.id_list import same_id
from mmxpl.utils import DataError
from mmxpl.utils.cli import (
    IdParser,
    add_config_options,
    load_config,
    make_folder,
    number_in,
    one_clear_error,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = IdParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--part',
        choices=PARTS,
        help='part of the data (default: labeled; with --checkpoint: unlabeled)',
    )
    parser.add_argument(
        '--checkpoint',
        metavar='CKPT',
        help='checkpoint of training, not a published one, whose pseudo-labels to draw',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/browse'),
        metavar='DIR',
        help='folder to write to (default: work_dirs/browse)',
    )
    parser.add_argument(
        '--num', type=number_in(1), default=16, help='samples to draw (default: 16)'
    )
    parser.add_argument('--ids', nargs='+', metavar='ID', help='these samples instead')
    parser.add_argument(
        '--views',
        type=number_in(0),
        default=2,
        help='augmented views of each (default: 2)',
    )
    parser.add_argument(
        '--seed',
        type=number_in(0, 2**32 - 1),
        default=0,
        help='seed of the samples and views',
    )
    add_config_options(parser)
    args = parser.parse_args(argv)
    args.part = args.part or ('unlabeled' if args.checkpoint else 'labeled')
    if args.checkpoint and args.part != 'unlabeled':
        parser.error('--checkpoint: only --part unlabeled has pseudo-labels')
    return args


def choose(ids: Sequence[str], args: argparse.Namespace) -> list[int]:
    """Chooses indices of samples; a DataError says that an id is not there."""
    if args.ids:
        places = {sample_id: n for n, sample_id in enumerate(ids)}
        wanted = [same_id(i) for i in args.ids]
        unknown = [i for i in wanted if i not in places]
        if unknown:
            raise DataError(f"--ids: '{unknown[0]}' is not in --part {args.part}.")
        return [places[i] for i in wanted]
    count = min(args.num, len(ids))
    return sorted(random.Random(args.seed).sample(range(len(ids)), count))


def draw(data: dict, preprocessor: Any, views: int, labels: dict, detail: str) -> Any:
    """Draws a sample with augmented views and pseudo-labels by localizer, RGB uint8."""
    from mmxpl.datasets import av_collate
    from mmxpl.visualization import load_frame, sample_sheet

    prepared = preprocessor.prepare(av_collate([data]))
    seen = []
    for _ in range(views):
        view = preprocessor.augment(copy.deepcopy(prepared))
        image = view['inputs']['img'] * preprocessor.std + preprocessor.mean
        image = image[0].permute(1, 2, 0).round().clamp(0, 255).byte().cpu().numpy()
        seen.append((image, view['data_samples'][0].get('gt_map')))
    sample = data['data_samples']
    spectrograms = {
        k: v[0]
        for k, v in prepared['inputs'].items()
        if v.dim() == 4 and k != 'img'  # waveforms are kept beside them
    }
    return sample_sheet(
        load_frame(sample),
        sample,
        spectrograms,
        seen,
        data['inputs']['audio'],
        labels,
        detail,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Draws samples and prints their number."""
    args = parse_args(argv)
    with one_clear_error():
        cfg = load_config(args.config, args.cfg_options, needs=['model'])
        chosen = dataset_config(cfg, args.part)
        # features cannot be drawn
        chosen = {**chosen, 'pipeline': media_pipeline(chosen.get('pipeline', ()))}

        # imported late, so that a wrong argument is reported at once
        import torch

        from mmxpl.pseudo_labels.label_memory import LabelMemory
        from mmxpl.registry import DATASETS, MODELS
        from mmxpl.visualization import write_picture

        torch.manual_seed(args.seed)
        dataset = DATASETS.build(chosen)
        preprocessor = MODELS.build(cfg.model.data_preprocessor)
        indices = choose(dataset.sample_ids, args)
        make_folder(args.out, '--out')
        memory = None
        if args.checkpoint:
            memory = LabelMemory(args.checkpoint, dataset.sample_ids, cfg)
        for index in track(indices, description=args.part):
            data = dataset[index]
            name = data['data_samples'].sample_id.replace('/', '_')
            labels, detail = memory.describe(index) if memory else ({}, '')
            picture = draw(data, preprocessor, args.views, labels, detail)
            write_picture(picture, args.out / f'{args.part}_{name}.png')
        print(f'{args.out}: {len(indices)} of {len(dataset)} samples of {args.part}')


if __name__ == '__main__':
    main()
