"""Measures what it saves that the tools keep freed memory.

A ResNet-18's step and the preparation of a batch, with glibc's own settings and with
those of ``mmxpl.utils.cli``, each in a process of its own, in turns, with one thread.
"""

import argparse
import resource
import subprocess
import sys
import time
from statistics import median

WAYS = ('given back', 'kept')


def measure(way: str, batch: int) -> None:
    """Prints seconds of CPU of a step and of a preparation, and MiB at most."""
    import torch

    if way == 'kept':
        import mmxpl.utils.cli  # noqa: F401
    from mmxpl.registry import MODELS, register_all_modules

    torch.set_num_threads(1)
    register_all_modules()
    net = MODELS.build(dict(type='mmdet.ResNet', depth=18, out_indices=(3,)))
    front_ends = dict(log=dict(type='LogSpectrogram'), mel=dict(type='LogMel'))
    preprocessor = MODELS.build(dict(type='AVDataPreprocessor', audio=front_ends))
    frames = torch.randint(0, 256, (batch, 3, 224, 224), dtype=torch.uint8)
    raw = dict(inputs=dict(img=frames, audio=torch.rand(batch, 48000)))

    def step() -> None:
        net(frames.float())[-1].mean().backward()

    for run in (step, lambda: preprocessor.prepare(raw)):
        run()
        start = time.process_time()
        for _ in range(3):
            run()
        print((time.process_time() - start) / 3)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--batch', type=int, default=8, help='(default: 8)')
    parser.add_argument('--repeats', type=int, default=3, help='(default: 3)')
    parser.add_argument('--measure', choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return measure(args.measure, args.batch)
    runs = {way: [] for way in WAYS}
    for _ in range(args.repeats):
        for way in WAYS:
            command = [sys.executable, __file__, '--batch', str(args.batch)]
            said = subprocess.check_output([*command, '--measure', way], text=True)
            runs[way].append([float(value) for value in said.split()[-3:]])
    found = [[median(c) for c in zip(*runs[way], strict=True)] for way in WAYS]
    names = ('step, s of CPU', 'preparation, s of CPU', 'memory, MiB')
    for name, before, after in zip(names, *found, strict=True):
        print(f'{name:<22} {WAYS[0]} {before:.3f}, {WAYS[1]} {after:.3f}', end='')
        print(f', ratio {after / before:.2f}')


if __name__ == '__main__':
    main()
