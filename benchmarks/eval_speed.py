"""Speed and memory of the evaluator against one that works sample by sample.

The baseline follows the formula as the public scripts do: each sample's map is resized,
then for each of three rules (median >=, median >, adaptive) there is one full sort, a
float mask, and float sums for CIoU. Both get the same maps of 14x14 in turns, a block
at a time, and must give the same CIoU; drawing the ground truth is timed for neither.
On a busy machine the ratio of CPU times is the steadier one; it counts all threads, so
that of several says nothing about the speed.
"""

import argparse
import resource
import time

import mmxpl  # noqa: F401  (before PyTorch, whose threads wait as it says)

# isort: split
import numpy as np
import torch
import torch.nn.functional as F

from mmxpl.evaluation.functional import GroundTruth, rasterize_boxes, score_maps

RULES = ('median', 'median_strict', 'adaptive')
SIZE = 224


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num', type=int, default=5158, help='maps (default: 5158)')
    parser.add_argument('--block', type=int, default=32, help='maps in turn')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    return parser.parse_args()


def resize(coarse: torch.Tensor) -> torch.Tensor:
    """Resizes a map (h, w) as EZ-VSL's test does."""
    return F.interpolate(
        coarse[None, None], (SIZE, SIZE), mode='bilinear', align_corners=True
    )[0, 0]


def score_one_by_one(maps: torch.Tensor, gt_maps: np.ndarray) -> np.ndarray:
    """CIoU (N, 3) of maps (N, h, w), one sample and one rule at a time."""
    rows = []
    for coarse, gt in zip(maps, gt_maps, strict=True):
        pred, row = resize(coarse).numpy(), []
        for rule in RULES:
            count = int((gt != 0).sum()) if rule == 'adaptive' else pred.size // 2
            level = np.sort(pred.flatten())[pred.size - count]
            mask = np.zeros((SIZE, SIZE))
            mask[pred >= level if rule == 'median' else pred > level] = 1
            union = np.sum(gt) + np.sum(mask * (gt == 0))
            row.append(np.sum(mask * gt) / union)
        rows.append(row)
    return np.array(rows)


def make_block(
    rng: np.random.Generator, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps (N, 14, 14) and boxes drawn as (N, S, S)."""
    maps = torch.from_numpy(rng.random((count, 14, 14), dtype=np.float32))
    corners = np.sort(rng.random((count, 2, 2)), axis=1).reshape(count, 1, 4)
    gt_maps = torch.stack(
        [rasterize_boxes(box + [0, 0, 0.01, 0.01]) for box in corners]
    )
    return maps, gt_maps


def peak_memory() -> float:
    """Most memory the process has held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_both(maps: torch.Tensor, gt_maps: torch.Tensor) -> list[tuple[float, float]]:
    """Wall and CPU seconds of the baseline, then of the evaluator, on one block."""
    double, clocks, found = gt_maps.double().numpy(), [], []
    for run in (
        lambda: score_one_by_one(maps, double),
        lambda: score_maps(maps, GroundTruth(gt_maps), RULES).numpy(),
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        found.append(run())
        clocks.append((time.perf_counter() - wall, time.process_time() - cpu))
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)
    return clocks


def main() -> None:
    """Measures both in turns."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    rng, seconds, peaks = np.random.default_rng(0), [], []
    time_both(*make_block(rng, args.block))  # warms up
    for start in range(0, args.num, args.block):
        count = min(args.block, args.num - start)
        clocks = time_both(*make_block(rng, count))
        seconds.append(np.array(clocks) / count)
        peaks.append(peak_memory())
    print(f'{args.num} maps of 14x14 to {SIZE}x{SIZE}, 3 rules, {args.threads} threads')
    medians = 1000 * np.median(seconds, axis=0)
    ratios = np.median([slow / fast for slow, fast in seconds], axis=0)
    for k, clock in enumerate(('wall', 'CPU')):
        print(
            f'{clock} time: one by one {medians[0, k]:.3f} ms a map, mmxpl '
            f'{medians[1, k]:.3f} ms a map, ratio {ratios[k]:.1f}'
        )
    print(f'(medians over blocks of {args.block}; goal: ratio >= 8)')
    print(
        f'peak memory: {peaks[0]:.0f} MiB after one block, {peaks[-1]:.0f} at the end'
    )


if __name__ == '__main__':
    main()
