"""Statistics of a generated world: areas, and scores of maps made without listening."""

from __future__ import annotations

import json
import math
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import torch

from mmxpl.evaluation.functional import SIZE_GROUPS, order_statistics, upsample_maps
from mmxpl.structures import rasterize_boxes

#: Side of the grid of the evaluation protocol in pixels.
GRID = 224

#: Rules that threshold a map.
RULES = ('adaptive', 'median', 'fixed')

#: Side of the grid on which the image-only optimum chooses its maps.
_COARSE = 32


def load_entries(root: str | Path) -> dict[str, list[dict]]:
    """Reads the entries of a world's ``annotations.json`` by split."""
    data = json.loads((Path(root) / 'annotations.json').read_text())
    splits: dict[str, list[dict]] = {}
    for entry in data['data_list']:
        splits.setdefault(entry['sample_id'].split('_')[0], []).append(entry)
    return splits


def area_facts(areas) -> dict[str, float]:
    """Describes the distribution of areas, given as shares of the frame.

    Returns:
        dict[str, float]: Number ``n``, ``mean``, ``median``, and the shares that are
        ``small``, ``medium``, ``large`` and ``huge``.
    """
    areas = np.asarray(areas, float)
    starts = np.array(list(SIZE_GROUPS.values())) / GRID**2
    counts = np.bincount(np.digitize(areas, starts) - 1, minlength=len(starts))
    facts = dict(n=len(areas), mean=areas.mean(), median=np.median(areas))
    shares = (counts / max(1, len(areas))).tolist()
    return facts | dict(zip(SIZE_GROUPS, shares, strict=True))


def box_areas(entries: list[dict]) -> dict[str, list[float]]:
    """Measures the areas of the boxes in ``data_list`` as shares of the frame.

    Returns:
        dict[str, list[float]]: 'ground truth' (union of what sounds, per clip),
        'sounding' and 'silent' (per object).
    """
    areas: dict[str, list[float]] = {'ground truth': [], 'sounding': [], 'silent': []}
    for entry in entries:
        if entry['bboxes']:
            areas['ground truth'].append(_raster(entry['bboxes']).mean())
        for o in entry['objects']:
            kind = 'sounding' if o['sounding'] else 'silent'
            areas[kind].append(_raster([o['bbox']]).mean())
    return areas


def _threshold(score: np.ndarray, rule: str, truth: np.ndarray) -> np.ndarray:
    """Thresholds a map in [0, 1] by a rule.

    'adaptive' takes as many pixels as the truth has and 'median' half of them, both
    with ties; 'fixed' takes those of at least 0.5.
    """
    if rule == 'fixed':
        return score >= 0.5
    count = int(truth.sum()) if rule == 'adaptive' else score.size - score.size // 2
    flat, rank = torch.from_numpy(score).view(1, -1), score.size - count
    return score >= order_statistics(flat, torch.tensor([[rank]])).item()


def reference_rows(entries: list[dict], two_sounding: float) -> dict[str, dict]:
    """Scores maps that no model made: share of clips with a CIoU of at least 0.5.

    'one object, at random' and 'largest object' mark one box first and the others only
    where the rule asks for more; 'all objects' marks every box. The image-only optimum
    knows the boxes of all objects and the odds (``two_sounding`` is the chance of a
    second sounding object among three or more), but not which object sounds: per clip
    and rule it takes the map that is most often right over everything that could sound.
    Under the adaptive rule it also gains from the size of the ground truth, which that
    rule reveals. Entries without a box are left out.

    Returns:
        dict[str, dict]: Share in percent by name of the row and rule.
    """
    entries = [e for e in entries if e['bboxes']]
    truths = [_raster(e['bboxes']) for e in entries]
    disc = _disc(float(np.mean([t.mean() for t in truths])))
    rng = np.random.default_rng(0)
    rows: dict[str, dict] = {}
    for entry, truth in zip(entries, truths, strict=True):
        boxes = [o['bbox'] for o in entry['objects']]
        falling = sorted(range(len(boxes)), key=lambda i: -_raster([boxes[i]]).sum())
        depths = _depths(boxes, GRID)
        pooled = torch.from_numpy(truth.reshape(1, 14, 16, 14, 16).mean((2, 4)))
        maps = {
            'whole image': np.ones((GRID, GRID)),
            'centred disc': disc,
            'one object, at random': _one_first(
                boxes, depths, rng.permutation(len(boxes))
            ),
            'largest object': _one_first(boxes, depths, falling),
            'all objects': 0.5 * _raster(boxes) + 0.4 * disc,
            'image-only optimum': _image_only(boxes, depths, two_sounding),
            'perfect map, 14x14': upsample_maps(pooled, GRID)[0].numpy(),
        }
        for name, score in maps.items():
            row = rows.setdefault(name, dict.fromkeys(RULES, 0.0))
            for rule in RULES:
                chosen = score[rule] if isinstance(score, dict) else score
                region = _threshold(chosen, rule, truth)
                shared = np.count_nonzero(region & truth)
                iou = shared / np.count_nonzero(region | truth)
                row[rule] += (iou >= 0.5) / len(entries)
    return {n: {k: 100 * v for k, v in row.items()} for n, row in rows.items()}


def _raster(boxes: list, grid: int = GRID) -> np.ndarray:
    """Union of boxes in shares of the frame, bool (grid, grid)."""
    return rasterize_boxes(boxes, grid).numpy() > 0


def _one_first(boxes: list, depths: np.ndarray, order) -> np.ndarray:
    """Map of one box, with the others in order below one half."""
    return 0.49 * _nested(depths, order, 1.0) + 0.51 * _raster([boxes[order[0]]])


def _disc(share: float) -> np.ndarray:
    """Map that falls from the centre and encloses a share of the frame at 0.5."""
    axis = (np.arange(GRID) + 0.5) / GRID - 0.5
    return 0.5 ** (np.hypot(*np.meshgrid(axis, axis)) / np.sqrt(share / np.pi))


def _depths(boxes: list, grid: int) -> np.ndarray:
    """Depth of each cell in each box, 1 in the middle and above 0 inside, (N, G, G)."""
    x1, y1, x2, y2 = np.array(boxes).T[..., None]
    axis = (np.arange(grid) + 0.5) / grid
    x = np.abs(2 * (axis - x1) / (x2 - x1) - 1)
    y = np.abs(2 * (axis - y1) / (y2 - y1) - 1)
    return 1 - np.maximum(x[:, None, :], y[:, :, None])


def _nested(depths: np.ndarray, order, core: float) -> np.ndarray:
    """Draws a map in [0, 1] with the boxes in order, each from its middle outwards.

    ``core`` is the share of each box that comes before any box's remainder.
    """
    count = len(order)
    score = np.zeros(depths.shape[1:])
    for rank, inside in enumerate(depths[np.asarray(order)]):
        layer = count - rank - 1 + inside
        layer += count * (inside >= 1 - core**0.5)
        np.maximum(score, layer * (inside > 0), out=score)
    return score / (2 * count)


def _image_only(
    boxes: list, depths: np.ndarray, two_sounding: float
) -> dict[str, np.ndarray]:
    """Best map per rule given all boxes but no sound."""
    count = len(boxes)
    subsets = [s for k in range(1, count + 1) for s in combinations(range(count), k)]
    pairs = math.comb(count, 2) if count > 2 else 0
    two = two_sounding if pairs else 0.0
    odds = [(1 - two) / count] * count + pairs * [two / max(pairs, 1)]
    regions = np.stack(
        [_raster([boxes[i] for i in s], _COARSE).ravel() for s in subsets]
    )
    # one sounds, or two
    truths = regions[: count + pairs]
    sizes = truths.sum(1)

    plans = [(o, c) for o in permutations(range(count)) for c in (1.0, 0.7)]
    coarse = _depths(boxes, _COARSE)
    scores = np.stack([_nested(coarse, *p).ravel() for p in plans])
    ranked = np.argsort(-scores, 1, kind='stable')
    best = {}
    for rule in ('adaptive', 'median'):
        half = np.full_like(sizes, _COARSE**2 // 2)
        taken = np.maximum(1, sizes) if rule == 'adaptive' else half
        hit = np.stack(
            [t[ranked[:, :k]].sum(1) for t, k in zip(truths, taken, strict=True)], 1
        )
        right = 2 * hit >= sizes + taken - hit
        plan = plans[int(np.argmax(right @ odds))]
        best[rule] = _nested(depths, *plan)

    hit = regions.astype(np.int32) @ truths.T.astype(np.int32)
    right = 2 * hit >= sizes + regions.sum(1, keepdims=True) - hit
    subset = subsets[int(np.argmax(right @ odds))]
    best['fixed'] = _raster([boxes[i] for i in subset]).astype(float)
    return best
