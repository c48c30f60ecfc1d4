"""Time and memory of a bank of pseudo-labels that is larger than the memory.

Fills a memory-mapped bank with labels of a fake model, then updates and reads random
clips of it as training does, beside a small bank in memory, in turns. Prints what that
is of a training step, measured here without the bank, whether the process's own memory
(RssAnon, what cannot be given back) grows, and the seconds of what an epoch and a
checkpoint cost: reliability, choice and shuffling of the curriculum, copy and return.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

import mmxpl.models  # noqa: F401
from mmxpl.datasets.samplers import CurriculumSampler
from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.registry import MODELS
from mmxpl.structures import AVDataSample

SHAPE = (2, 14, 14)
SMALL = 10_000  # clips of the bank in memory


class Ids:
    """Ids that take no memory; of the real ones the bank keeps a fingerprint."""

    def __init__(self, num: int) -> None:
        self.num = num

    def __len__(self) -> int:
        return self.num

    def __iter__(self):
        return (f'{n:011d}_000000' for n in range(self.num))


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num', type=int, default=1_000_000, help='unlabeled clips')
    parser.add_argument('--dir', help='folder on a local disk (default: temporary)')
    parser.add_argument('--steps', type=int, default=200, help='updates measured')
    parser.add_argument('--batch', type=int, default=64, help='unlabeled clips a step')
    parser.add_argument(
        '--config',
        help='also measure a training step of this model, at --size pixels, on this '
        'machine',
    )
    parser.add_argument('--size', type=int, default=224, help='pixels of its frames')
    return parser.parse_args()


def memory(field: str) -> float:
    """A line of this process's status in GB."""
    status = Path('/proc/self/status').read_text()
    return int(status.split(f'{field}:')[1].split()[0]) * 1024 / 1e9


def seconds(name: str, action: Callable[[], object]) -> object:
    """Runs and times something; prints it with the memory after it."""
    start, cpu = time.perf_counter(), time.process_time()
    result = action()
    print(
        f'{name:<36}{time.perf_counter() - start:9.2f} s, '
        f'{time.process_time() - cpu:9.2f} s of CPU   '
        f'RssAnon {memory("RssAnon"):.2f} GB, RssFile {memory("RssFile"):.2f} GB',
        flush=True,
    )
    return result


def fill(bank: PseudoLabelBank, chunk: int = 256) -> None:
    """Gives every clip a first label, as the scoring pass does."""
    labels = torch.rand(chunk, *SHAPE)
    for first in range(0, len(bank), chunk):
        index = torch.arange(first, min(first + chunk, len(bank)))
        bank.update(index, labels[: len(index)].roll(first // chunk, 0))


def visit(bank: PseudoLabelBank, batch: int) -> float:
    """CPU seconds of one step's work: update, then look-up."""
    index, soft = torch.randint(len(bank), (batch,)), torch.rand(batch, *SHAPE)
    start = time.process_time()
    bank.update(index, soft)
    bank.lookup(index)
    return time.process_time() - start


def training_step(config: str, size: int, batch: int) -> float:
    """Median CPU seconds of a training step and a label pass, without the bank."""
    model = MODELS.build(Config.fromfile(config).model)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4))
    samples = [
        AVDataSample(metainfo=dict(sample_idx=n, is_labeled=False))
        for n in range(batch)
    ]
    times = []
    for _ in range(4):
        images = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
        inputs = dict(img=images, audio=torch.rand(batch, 48000) - 0.5)
        start = time.process_time()
        data = model.data_preprocessor.prepare(
            dict(inputs=inputs, data_samples=samples)
        )
        with torch.no_grad():
            model.eval().predict_maps(data['inputs'])
        model.train().train_step(data, wrapper)
        times.append(time.process_time() - start)
    return statistics.median(times[1:])


def epoch(bank: PseudoLabelBank, num: int) -> None:
    """Measures the ranking at the start of an epoch."""
    parts = [range(1000), range(num)]
    sampler = CurriculumSampler(
        SimpleNamespace(datasets=parts),
        8,
        56,
        curriculum=dict(start=0.5),
        seed=0,
    )
    sampler.set_schedule(0, 10)
    scores = seconds('epoch: reliability of all clips', bank.reliability)
    sampler.set_reliability(scores)
    seconds('epoch: choice of the best half', sampler.selected)
    seconds('epoch: shuffles, first batch', lambda: next(iter(sampler)))


def main() -> None:
    """Measures."""
    args = parse_args()
    torch.set_num_threads(1)
    print(f'{args.num} clips, one thread')
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        path = Path(folder, 'labels.bin')
        ids = Ids(args.num)
        bank = seconds(
            'fingerprint of the ids',
            lambda: PseudoLabelBank(ids, ['a', 'b'], path=path),
        )
        seconds('first labels of all clips', lambda: fill(bank))
        print(f'file: {path.stat().st_size / 1e9:.2f} GB')

        small = PseudoLabelBank(Ids(SMALL), ['a', 'b'])
        fill(small)
        before, times = memory('RssAnon'), {'file': [], 'memory': []}
        for _ in range(args.steps):
            times['file'].append(visit(bank, args.batch))
            times['memory'].append(visit(small, args.batch))
        grown = memory('RssAnon') - before
        medians = {k: statistics.median(v) for k, v in times.items()}
        print(
            f'update and look-up of {args.batch} random clips: '
            f'{medians["file"] * 1e3:.2f} ms (median; mean '
            f'{statistics.mean(times["file"]) * 1e3:.2f}), in memory with {SMALL} '
            f'clips {medians["memory"] * 1e3:.2f} ms, ratio '
            f'{medians["file"] / medians["memory"]:.2f}; RssAnon grew by '
            f'{grown * 1e3:.1f} MB'
        )
        if args.config:
            step = training_step(args.config, args.size, args.batch)
            print(
                f'a training step of {args.config} with {args.batch} clips at '
                f'{args.size} pixels takes {step:.2f} s of CPU: the bank is '
                f'{medians["file"] / step:.2%} of it'
            )
        print(f'1 % of a step of {medians["file"] * 1e5:.0f} ms')

        epoch(bank, args.num)
        part = SimpleNamespace(n=min(args.num, 65536))
        part.bank = PseudoLabelBank(Ids(part.n), ['a', 'b'])
        part.bank.labels = bank.labels[: part.n]
        start = time.process_time()
        part.bank.score_again()
        full = (time.process_time() - start) * args.num / part.n
        print(f'a pass over all labels instead (from {part.n}): {full:.0f} s')

        state = seconds('checkpoint: copy', lambda: bank.state_dict(folder))
        bank = None  # gives up its lock
        bank = PseudoLabelBank(ids, ['a', 'b'], path=path)
        seconds(
            'resume: check and copy back', lambda: bank.load_state_dict(state, folder)
        )


if __name__ == '__main__':
    main()
