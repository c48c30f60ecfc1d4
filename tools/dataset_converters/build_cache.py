"""Builds caches of decoded media, or of the features of frozen encoders.

Fills the folders that a config's LoadFrame, LoadAudio and LoadFeatures name as
cache=DIR; the project's configs take them from the environment (MMXPL_CACHE=DIR).
Decoded frames and sounds are the same, bit for bit. Features are those of the config's
frozen encoders, in half precision. What is there and fits is left as it is, and an
interrupted build goes on where it ended. See docs/data/cache.md.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from rich.filesize import decimal
from rich.progress import MofNCompleteColumn, Progress

from mmxpl.utils import DataError
from mmxpl.utils.cli import (
    add_config_options,
    add_method,
    load_config,
    number_in,
    one_clear_error,
)
from mmxpl.utils.files import write_result

SPLITS = ('train', 'val', 'test')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
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
        '--workers',
        type=number_in(1),
        default=os.cpu_count(),
        help='files read at a time',
    )
    parser.add_argument(
        '--batch-size', type=number_in(1), default=16, help='clips encoded at a time'
    )
    parser.add_argument('--device', help='of the encoders (default: a GPU if any)')
    add_method(parser)
    add_config_options(parser)
    return parser.parse_args(argv)


@dataclass
class Job:
    """Cache to build."""

    cache: Any  # a MediaCache
    what: Any  # transform of the values; configs with equal ones may share a cache
    decode: Callable  # see build_cache
    infos: dict[str, dict] = field(default_factory=dict)  # entry of a clip by file


def collect(cfg: Config, args: argparse.Namespace, jobs: dict[Path, Job]) -> None:
    """Adds the caches that a config names to the jobs, by folder."""
    from mmxpl.datasets.dataset_wrappers import config_leaves
    from mmxpl.datasets.transforms.loading import LoadFeatures, LoadMedia
    from mmxpl.registry import DATASETS

    encoders = None
    loaders = [cfg.get(f'{split}_dataloader') for split in args.splits]
    for leaf in config_leaves(loaders):
        dataset = DATASETS.build(leaf)
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        for step in dataset.pipeline.transforms:
            if not isinstance(step, LoadMedia | LoadFeatures):
                continue
            if step.cache is None:
                raise DataError(
                    f'{type(step).__name__} of {dataset.source} has no cache: set '
                    'MMXPL_CACHE=DIR in the environment or cache=DIR in the config.'
                )
            if isinstance(step, LoadMedia):
                collect_media(step, infos, args, jobs)
            else:
                encoders = encoders or Encoders(cfg, step, args)
                encoders.collect(infos, jobs)
    if encoders is not None:
        encoders.write_manifest()


def collect_media(
    step: Any, infos: list[dict], args: argparse.Namespace, jobs: dict[Path, Job]
) -> None:
    """Adds the files that one transform reads."""
    from mmxpl.datasets.media_cache import decode_files

    decode = partial(decode_files, step.decode, workers=args.workers)
    job = jobs.setdefault(step.cache.folder, Job(step.cache, step, decode))
    if job.what.settings != step.settings:
        raise DataError(
            f'{step.cache.folder}: one cache cannot be of {job.what} and of '
            f'{step}. Give them folders of their own.'
        )
    job.infos.update({step.source(info): info for info in infos})


class Encoders:
    """Frozen encoders of a config, and the caches of the features ``step`` reads."""

    def __init__(self, cfg: Config, step: Any, args: argparse.Namespace) -> None:
        from mmengine.device import get_device

        from mmxpl.models.features import encoder_settings
        from mmxpl.registry import MODELS
        from mmxpl.utils.checkpoint import load_weights_only

        load_weights_only()
        self.step, self.args = step, args
        self.learner = MODELS.build(cfg.model)
        self.learner.init_weights()
        self.learner.to(args.device or get_device()).eval()
        settings = encoder_settings(cfg.model, self.learner)
        self.caches = {
            (name, kind): step.cache.part(kind, entry)
            for name, kinds in settings.items()
            for kind, entry in kinds.items()
        }
        self.settings, self.first = settings, None

    def collect(self, infos: list[dict], jobs: dict[Path, Job]) -> None:
        """Adds the files of some clips."""
        self.first = self.first or infos[0]
        for (name, kind), cache in self.caches.items():
            job = jobs.setdefault(cache.folder, Job(cache, None, None))
            job.infos.update({self.step.sources(info)[kind]: info for info in infos})
            job.decode = partial(self._decode, name, kind, job)

    def write_manifest(self) -> None:
        """Writes which localizer uses which cache."""
        from mmxpl.datasets.feature_cache import MANIFEST

        path = self.step.cache.folder / MANIFEST
        manifest: dict[str, dict] = {}
        for (name, kind), cache in self.caches.items():
            _, shapes = self._encode(name, kind, [self._load(kind, self.first)[0]])
            manifest.setdefault(name, {})[kind] = dict(
                folder=cache.folder.name,
                settings=self.settings[name][kind],
                shapes=shapes,
            )
        text = json.dumps(manifest, indent=1)
        other = path.exists() and json.loads(path.read_text()) != json.loads(text)
        if other and not self.args.overwrite:
            raise DataError(
                f'{path} is of other encoders. Give this config a folder of its own '
                '(cache of LoadFeatures), or pass --overwrite.'
            )
        write_result(path, text)

    def _load(self, kind: str, info: dict) -> tuple[Any, tuple[int, int]]:
        """Reads the frame or sound of a clip."""
        import torch

        from mmxpl.datasets.transforms.formatting import pack_frame

        if kind == 'visual':
            results = self.step.frame(dict(info))
            return pack_frame(results['img']), tuple(results['ori_shape'])
        return torch.from_numpy(self.step.audio(dict(info))['audio']), (0, 0)

    def _encode(self, name: str, kind: str, batch: list) -> tuple:
        """Encodes a list of frames or sounds."""
        import torch

        from mmxpl.models.features import encode

        inputs = {dict(visual='img', sound='audio')[kind]: torch.stack(batch)}
        return encode(self.learner, name, kind, inputs)

    def _decode(self, name: str, kind: str, job: Job, paths: Sequence[str]) -> Iterator:
        """Loads files in threads and encodes them in batches."""
        from mmxpl.datasets.entries import batched
        from mmxpl.datasets.media_cache import decode_files

        loaded = decode_files(
            lambda path: self._load(kind, job.infos[path]), paths, self.args.workers
        )
        for chunk in batched(loaded, self.args.batch_size):
            good = [item for item in chunk if not isinstance(item, DataError)]
            batch = [array for _, (array, _) in good]
            rows = iter(self._encode(name, kind, batch)[0].numpy() if batch else ())
            for item in chunk:
                if isinstance(item, DataError):
                    yield item
                else:
                    stamp, (_, shape) = item
                    yield stamp, (next(rows), shape)


def build(job: Job, args: argparse.Namespace) -> str:
    """Builds a cache unless it exists; returns a line for the report."""
    from mmxpl.datasets.media_cache import build_cache

    folder, paths = job.cache.folder, list(job.infos)
    if folder.exists():
        try:
            for path in paths:
                job.cache.find(path)
            return f'{folder}: {len(paths)} files, complete already'
        except DataError as error:
            if not args.overwrite:
                raise
            print(f'{folder}: is replaced ({str(error).split(". Build")[0]})')
    start = time.monotonic()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        row = progress.add_task(folder.name, total=len(paths))
        build_cache(
            job.cache,
            job.decode,
            paths,
            args.overwrite,
            lambda count: progress.advance(row, count),
        )
    size = sum(file.stat().st_size for file in folder.iterdir())
    return (
        f'{folder}: {len(paths)} files, {decimal(size)} in '
        f'{time.monotonic() - start:.0f} s'
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the caches and reports."""
    args = parse_args(argv)
    with one_clear_error():
        # imported late: a wrong argument is then answered at once
        import torch

        # one thread a file; encoders share the machine among as many
        torch.set_num_threads(args.workers)
        jobs: dict[Path, Job] = {}
        for path in args.config:
            collect(load_config(path, args.cfg_options, args.method), args, jobs)
        if not any(job.infos for job in jobs.values()):
            raise DataError('The config names no clip to be cached.')
        for job in jobs.values():
            print(build(job, args), flush=True)


if __name__ == '__main__':
    main()
