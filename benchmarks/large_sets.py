"""Measures what a data set of a million clips costs to read, and to its workers.

Writes annotations alone: the listing of the media folders is a stand-in without a disk.
The set is read in a process of its own. Its time is of the CPU, its memory the peak
beside what the imports take. Then forks of it read random entries, as workers do, and
their own memory is what grew beside the shared one (PSS of /proc/PID/smaps_rollup).
"""

import argparse
import gc
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

BOX = [0.1234, 0.2345, 0.7891, 0.8912]


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num', type=int, default=1_000_000, help='clips')
    parser.add_argument('--workers', type=int, default=8)
    parser.add_argument('--layout', choices=['json', 'vggss'], default='json')
    parser.add_argument('--read', help=argparse.SUPPRESS)
    return parser.parse_args()


def name(number: int) -> str:
    """Names a clip as VGG-Sound does."""
    return f'{number:011d}_{number % 1000000:06d}'


def write_annotations(root: Path, args: argparse.Namespace) -> None:
    """Writes one box a clip, in one of two layouts."""
    if args.layout == 'vggss':
        items = [
            {'file': name(n), 'class': f'class {n % 300}', 'bbox': [BOX]}
            for n in range(args.num)
        ]
        (root / 'vggss.json').write_text(json.dumps(items))
        return
    items = [
        dict(
            sample_id=name(n),
            img_path=f'frames/{name(n)}.jpg',
            audio_path=f'audio/{name(n)}.wav',
            category=f'class {n % 300}',
            bboxes=[BOX],
        )
        for n in range(args.num)
    ]
    (root / 'annotations.json').write_text(
        json.dumps(dict(metainfo={}, data_list=items))
    )


def memory(file: str, field: str) -> float:
    """Returns a figure of the process in MiB.

    ``status`` has its largest memory so far as ``VmHWM``, without that of the process
    that started it, which ``getrusage`` counts; ``smaps_rollup`` its own and
    proportionally shared memory as ``Pss``.
    """
    lines = Path('/proc/self', file).read_text().splitlines()
    found = [line.split()[1] for line in lines if line.startswith(f'{field}:')]
    return int(found[0]) / 1024


def read(args: argparse.Namespace) -> None:
    """Reads the set and forks workers."""
    from mmxpl.datasets import AVJsonDataset, VGGSSDataset, media

    def scandir(folder: str):
        suffix = '.wav' if 'audio' in folder else '.jpg'
        return (SimpleNamespace(name=name(n) + suffix) for n in range(args.num))

    kind = AVJsonDataset if args.layout == 'json' else VGGSSDataset
    start = time.process_time()
    for _ in scandir('audio'):
        pass
    # two folders are listed
    once = time.process_time() - start
    imports, start = memory('status', 'VmHWM'), time.process_time() + 2 * once
    with patch.object(media.os, 'scandir', scandir):
        dataset = kind(args.read, labeled=True)
    seconds = time.process_time() - start
    peak = memory('status', 'VmHWM') - imports
    print(f'{len(dataset)} clips read in {seconds:.1f} s, at most {peak:.0f} MiB')
    print(f'kept: {dataset.data_bytes.nbytes / 2**20:.0f} MiB')

    gc.freeze()
    barrier = multiprocessing.Barrier(args.workers)

    def work(number: int, found) -> None:
        sizes = []
        for count in (0, min(args.num, 50_000)):
            for n in range(count):
                dataset.get_data_info((n * 7919 + number) % args.num)
            barrier.wait()
            sizes.append(memory('smaps_rollup', 'Pss'))
            barrier.wait()
        found.put(sizes)

    found = multiprocessing.Queue()
    jobs = [
        multiprocessing.Process(target=work, args=(n, found))
        for n in range(args.workers)
    ]
    for job in jobs:
        job.start()
    sizes = [found.get() for _ in jobs]
    for job in jobs:
        job.join()
    before, after = (sum(column) / args.workers for column in zip(*sizes, strict=True))
    print(
        f'{args.workers} workers: {before:.0f} MiB each at the start, {after:.0f} MiB '
        'each after reading'
    )


def main() -> None:
    """Measures in a fresh process."""
    args = parse_args()
    if args.read:
        return read(args)
    with tempfile.TemporaryDirectory() as folder:
        write_annotations(Path(folder), args)
        subprocess.run(
            [sys.executable, *sys.argv, '--read', folder],
            check=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
        )


if __name__ == '__main__':
    multiprocessing.set_start_method('fork')
    main()
