"""Decode the frames and sounds of a config once, for all trainings to come.

Fills the folder that the config's LoadFrame and LoadAudio name as cache=DIR; the
project's configs take it from the environment (MMXPL_CACHE=DIR). Training with
the same config then reads from there, and the samples are the same, bit for bit.
What is there and fits is left as it is. See docs/data/cache.md.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import MofNCompleteColumn, Progress

from mmxpl.utils import DataError
from mmxpl.utils.cli import add_config_options, load_config, one_clear_error

SPLITS = ('train', 'val', 'test')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'config', nargs='+', help='config file; several share one cache'
    )
    parser.add_argument(
        '--splits', nargs='+', choices=SPLITS, default=SPLITS, help='(default: all)'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace a cache that does not fit'
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='files read at a time'
    )
    add_config_options(parser)
    args = parser.parse_args(argv)
    if args.workers < 1:
        parser.error('--workers must be at least 1')
    return args


def collect(cfg: Any, splits: Sequence[str], jobs: dict[Path, tuple]) -> None:
    """Find out what is to be decoded, and into which cache.

    Args:
        cfg (Any): The config.
        splits (Sequence[str]): Which of its splits.
        jobs (dict[Path, tuple]): By folder of the cache the transform and the
            files (keys of a dict, in order); added to.

    Raises:
        DataError: If a transform has no cache, or one cache has two settings.
    """
    from mmxpl.datasets.config_leaves import config_leaves
    from mmxpl.datasets.transforms.loading import LoadMedia
    from mmxpl.registry import DATASETS

    for leaf in config_leaves([cfg.get(f'{split}_dataloader') for split in splits]):
        dataset = DATASETS.build(leaf)
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        for step in dataset.pipeline.transforms:
            if not isinstance(step, LoadMedia):
                continue
            if step.cache is None:
                raise DataError(
                    f'{type(step).__name__} of {dataset.source} has no cache: set '
                    'MMXPL_CACHE=DIR in the environment or cache=DIR in the config.'
                )
            known, paths = jobs.setdefault(step.cache.folder, (step, {}))
            if known.settings != step.settings:
                raise DataError(
                    f'{step.cache.folder}: one cache cannot be of {known} and of '
                    f'{step}. Give them folders of their own.'
                )
            paths.update(dict.fromkeys(info[step.path_key] for info in infos))


def build(step: Any, paths: Sequence[str], args: argparse.Namespace) -> str:
    """Build one cache, unless it is there.

    Args:
        step (LoadMedia): What decodes.
        paths (Sequence[str]): The files.
        args (argparse.Namespace): The command line.

    Returns:
        str: What became of it.

    Raises:
        DataError: If it cannot be built.
    """
    from mmxpl.datasets.media_cache_build import build_cache

    folder = step.cache.folder
    if folder.exists():
        try:
            for path in paths:
                step.cache.find(path)
            return f'{folder}: {len(paths)} files, complete already'
        except DataError as error:
            if not args.overwrite:
                raise
            print(f'{folder}: is replaced ({str(error).split(". Build")[0]})')
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        row = progress.add_task(step.kind, total=len(paths))
        build_cache(
            step.cache,
            step.decode,
            paths,
            args.workers,
            args.overwrite,
            lambda: progress.advance(row),
        )
    size = sum(file.stat().st_size for file in folder.iterdir())
    return f'{folder}: {len(paths)} files, {size / 2**30:.2f} GiB'


def main(argv: Sequence[str] | None = None) -> None:
    """Build and report."""
    args = parse_args(argv)
    with one_clear_error():
        # imported late: a wrong argument is then answered at once
        import torch

        # as in a worker of a data loader; the files are what runs in parallel
        torch.set_num_threads(1)
        jobs: dict[Path, tuple] = {}
        for path in args.config:
            collect(load_config(path, args.cfg_options), args.splits, jobs)
        if not any(paths for _, paths in jobs.values()):
            raise DataError('The config names no clip to be cached.')
        for step, paths in jobs.values():
            print(build(step, list(paths), args))


if __name__ == '__main__':
    main()
