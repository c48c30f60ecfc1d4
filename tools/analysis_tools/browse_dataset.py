"""Draw samples as training sees them: frame, labels, sound, views.

Writes one PNG for each sample. The pictures come out of the config's own pipeline
and data preprocessor, so what is wrong there is seen here. From a checkpoint of
training also the pseudo-labels of unlabelled clips and how reliable they are.
"""

import argparse
import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from mmxpl.datasets.config_leaves import config_leaves
from mmxpl.utils import DataError
from mmxpl.utils.cli import add_config_options, load_config, one_clear_error

PARTS = ('labelled', 'unlabelled', 'val', 'test')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--part',
        choices=PARTS,
        help='(default: labelled; with --checkpoint: unlabelled)',
    )
    parser.add_argument(
        '--checkpoint',
        metavar='CKPT',
        help='checkpoint of training, not a published one: its pseudo-labels are drawn',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/browse'), metavar='DIR'
    )
    parser.add_argument('--num', type=int, default=16, help='samples (default: 16)')
    parser.add_argument('--ids', nargs='+', metavar='ID', help='these samples instead')
    parser.add_argument(
        '--views', type=int, default=2, help='augmented views of each (default: 2)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of the choice of samples and the views'
    )
    add_config_options(parser)
    args = parser.parse_args(argv)
    args.part = args.part or ('unlabelled' if args.checkpoint else 'labelled')
    if args.checkpoint and args.part != 'unlabelled':
        parser.error('--checkpoint: only --part unlabelled has pseudo-labels')
    if args.num < 1 or args.views < 0:
        parser.error('--num must be at least 1, --views at least 0')
    return args


def dataset_config(cfg: Any, part: str) -> dict:
    """Find the config of one part of the data.

    Args:
        cfg (Any): The whole config.
        part (str): One of :data:`PARTS`.

    Returns:
        dict: The config of its data set.

    Raises:
        DataError: If the config has none.
    """
    loader = 'train' if part in ('labelled', 'unlabelled') else part
    node = cfg.get(f'{loader}_dataloader')
    for leaf in config_leaves(node):
        if loader != 'train' or bool(leaf.get('labelled')) == (part == 'labelled'):
            return leaf
    raise DataError(f'--part {part}: the config has no such data set.')


def choose(ids: Sequence[str], args: argparse.Namespace) -> list[int]:
    """Choose samples.

    Args:
        ids (Sequence[str]): All ids.
        args (argparse.Namespace): The command line.

    Returns:
        list[int]: Indices.

    Raises:
        DataError: If an id that was asked for is not there.
    """
    if args.ids:
        places = {sample_id: n for n, sample_id in enumerate(ids)}
        unknown = [i for i in args.ids if i not in places]
        if unknown:
            raise DataError(f"--ids: '{unknown[0]}' is not in --part {args.part}.")
        return [places[i] for i in args.ids]
    count = min(args.num, len(ids))
    return sorted(random.Random(args.seed).sample(range(len(ids)), count))


class Memory:
    """What a checkpoint of training knows of the unlabelled clips.

    Args:
        path (str): The checkpoint.
        ids (Sequence[str]): The unlabelled clips, in the order of their data set.
        cfg (Any): The config, whose hook says how reliability is measured.

    Raises:
        DataError: If it cannot be read or has no pseudo-labels of these clips.
    """

    def __init__(self, path: str, ids: Sequence[str], cfg: Any) -> None:
        from mmxpl.engine.checkpoint import read_checkpoint
        from mmxpl.engine.hooks import CrossPseudoLabelHook
        from mmxpl.pseudo_labels import PseudoLabelBank

        state = read_checkpoint(path, 'cpu').get(CrossPseudoLabelHook.CHECKPOINT_KEY)
        if state is None:
            raise DataError(
                f'--checkpoint {path}: has no pseudo-labels: it is a published one, or '
                'of a run without CrossPseudoLabelHook. Name an epoch_N.pth of such a '
                'run.'
            )
        try:
            self.bank = PseudoLabelBank(ids, state['names'])
            self.bank.load_state_dict(state)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f'--checkpoint {path}: its pseudo-labels are damaged ({error!r}). Name '
                'another checkpoint.'
            ) from error
        except ValueError as error:
            raise DataError(
                f'--checkpoint {path}: {error} Here that is the config and its lists.'
            ) from error
        if self.bank.labels is None:
            raise DataError(
                f'--checkpoint {path}: is of the warm-up, before the first pseudo-'
                'label. Name a later one.'
            )
        hooks = [h for h in cfg.get('custom_hooks') or () if 'reliability' in h]
        measures = hooks[0]['reliability'] if hooks else ('agreement',)
        self.scores = self.bank.reliability(measures)
        # the order of the curriculum
        order = self.scores.argsort(descending=True, stable=True)
        self.ranks = order.argsort() + 1

    def describe(self, index: int) -> tuple[dict, str]:
        """Look up a clip.

        Args:
            index (int): Its place in the data set.

        Returns:
            tuple[dict, str]: Its labels (h, w) by localizer, none before its first
            visit; and a line on them.
        """
        visits = int(self.bank.visits[index])
        if not visits:
            return {}, 'no pseudo-label yet'
        maps = self.bank.labels[index].float()
        return dict(zip(self.bank.names, maps, strict=True)), (
            f'rank {self.ranks[index]} of {len(self.bank)}, '
            f'r={self.scores[index]:.2f}, visit {visits}'
        )


def draw(data: dict, preprocessor: Any, views: int, labels: dict, detail: str) -> Any:
    """Draw one sample.

    Args:
        data (dict): What the pipeline made of it.
        preprocessor (AVDataPreprocessor): The learner's.
        views (int): Number of augmented views.
        labels (dict): Pseudo-labels by localizer.
        detail (str): A line on them.

    Returns:
        np.ndarray: The picture, RGB uint8.
    """
    from mmxpl.datasets import av_collate
    from mmxpl.visualization import load_frame
    from mmxpl.visualization.sample_sheet import sample_sheet

    prepared = preprocessor.prepare(av_collate([data]))
    seen = []
    for _ in range(views):
        view = preprocessor.augment(copy.deepcopy(prepared))
        image = view['inputs']['img'] * preprocessor.std + preprocessor.mean
        image = image[0].permute(1, 2, 0).round().clamp(0, 255).byte().cpu().numpy()
        seen.append((image, view['data_samples'][0].get('gt_map')))
    sample = data['data_samples']
    spectrograms = {k: v[0] for k, v in prepared['inputs'].items() if k != 'img'}
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
    """Draw and report."""
    args = parse_args(argv)
    with one_clear_error():
        cfg = load_config(args.config, args.cfg_options)
        chosen = dataset_config(cfg, args.part)

        # imported late: a wrong argument is then answered at once
        import torch

        from mmxpl.registry import DATASETS, MODELS
        from mmxpl.visualization import write_picture

        torch.manual_seed(args.seed)
        dataset = DATASETS.build(chosen)
        preprocessor = MODELS.build(cfg.model.data_preprocessor)
        indices = choose(dataset.sample_ids, args)
        memory = None
        if args.checkpoint:
            memory = Memory(args.checkpoint, dataset.sample_ids, cfg)
        for index in track(indices, description=args.part):
            data = dataset[index]
            name = data['data_samples'].sample_id.replace('/', '_')
            labels, detail = memory.describe(index) if memory else ({}, '')
            picture = draw(data, preprocessor, args.views, labels, detail)
            write_picture(picture, args.out / f'{args.part}_{name}.png')
        print(f'{args.out}: {len(indices)} of {len(dataset)} samples of {args.part}')


if __name__ == '__main__':
    main()
