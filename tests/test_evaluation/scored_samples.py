"""Predictions of two localizers with ground truth, and their evaluation by a metric."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData, PixelData
from torch import Tensor
from torch.nn import functional as F

from mmxpl.structures import AVDataSample, rasterize_boxes


def scored_samples(
    count: int = 9, size: int = 32, seed: int = 0, negative: bool = False
) -> list[AVDataSample]:
    """Makes predictions of two localizers of varying quality.

    Args:
        count (int): Number of samples. Every second one has two boxes, the others
            one.
        size (int): Side of the ground truth in pixels.
        seed (int): Chooses boxes and maps.
        negative (bool): Whether every third sample does not sound: it has no box,
            and ``audio_kind`` 'silence' or 'noise'.

    Returns:
        list[AVDataSample]: With ``gt_map`` (size, size), ``gt_instances.bboxes``
        (normalised) and ``pred_map.a`` and ``pred_map.b`` (1, 7, 7) in [0, 1]. Two
        samples after each other share an ``img_path``.
    """
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for i in range(count):
        corner = torch.rand(2, generator=generator) * 0.3
        boxes = torch.cat([corner, corner + 0.5])[None]
        if i % 2:
            boxes = torch.cat([boxes, torch.tensor([[0.82, 0.8, 1, 1]])])
        quiet = negative and i % 3 == 2
        coarse = F.adaptive_avg_pool2d(rasterize_boxes(boxes, size)[None], 7)
        share = torch.rand(2, 1, 1, generator=generator)
        noise = torch.rand(2, 7, 7, generator=generator)
        a, b = (share * coarse + (1 - share) * noise).split(1)
        if quiet:
            a, b = 0.7 * a, 0.7 * b
        sample = AVDataSample(
            metainfo=dict(
                sample_id=f'clip_{i:03d}',
                img_path=f'frames/{i // 2}.jpg',
                audio_kind=['silence', 'noise'][i // 3 % 2] if quiet else 'original',
            )
        )
        sample.gt_map = rasterize_boxes([] if quiet else boxes, size)
        sample.gt_instances = InstanceData(bboxes=boxes[:0] if quiet else boxes)
        sample.pred_map = PixelData(a=a, b=b)
        samples.append(sample)
    return samples


def stack_maps(samples: Sequence[AVDataSample], model: str) -> tuple[Tensor, Tensor]:
    """Stacks the maps (N, h, w) of a localizer and the ground truth (N, S, S)."""
    maps = torch.cat([sample.pred_map.get(model) for sample in samples])
    return maps, torch.stack([sample.gt_map for sample in samples])


def evaluate_samples(
    metric: str,
    samples: Sequence[AVDataSample],
    batch: int = 2,
    total: int | None = None,
    **settings: Any,
) -> Mapping[str, float]:
    """Evaluates samples by a type of metric, batch by batch like a test loop.

    ``total`` is the number of samples of the data set, by default of those there are.
    """
    evaluator = Evaluator({'type': f'mmxpl.{metric}', **settings})
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(len(samples) if total is None else total)
