"""Scores files of maps, a few at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmxpl.utils import DataError

from ..functional import (
    RULES,
    GroundTruth,
    evaluate_maps,
    size_groups,
    upsample_maps,
)
from .files import MapFiles
from .truth import TruthFile


@dataclass(frozen=True)
class MapScores:
    """CIoU of each sample, and what its groups are.

    Attributes:
        ids (list[str]): The N samples that were scored.
        rules (tuple[str, ...]): The R rules.
        cious (dict[str, Tensor]): (N, R) float64 for each model under its name and
            each reference under ``ref/<name>``.
        sizes (list[str]): Size group of each sample.
        categories (list[str | None]): Class of each sample.
        num_empty (int): How many samples have no annotated pixel.
    """

    ids: list[str]
    rules: tuple[str, ...]
    cious: dict[str, Tensor]
    sizes: list[str]
    categories: list[str | None]
    num_empty: int


def score_files(
    maps: Mapping[str, MapFiles],
    truth: TruthFile,
    ids: Sequence[str],
    rules: Sequence[str] = tuple(RULES),
    interpolation: str = 'bilinear',
    prior: Tensor | None = None,
    size: int = 224,
    chunk: int = 32,
) -> MapScores:
    """CIoU of files of maps under several rules, in one pass over the files.

    Memory holds ``chunk`` maps at full resolution however many there are, and
    each sample is worked on by itself: the result does not depend on ``chunk``.

    Args:
        maps (Mapping[str, MapFiles]): Files of each model, by its name.
        truth (TruthFile): The annotations.
        ids (Sequence[str]): Samples that all models and the annotations have.
        rules (Sequence[str]): Names out of
            :data:`mmxpl.evaluation.functional.ALL_RULES`.
        interpolation (str): How maps of other sizes are brought to full resolution.
        prior (Tensor, optional): (S, S) probabilities; adds ``ref/prior``.
        size (int): S, side of a ground-truth map.
        chunk (int): How many samples are held at once.

    Returns:
        MapScores: In the order of ``ids``.

    Raises:
        DataError: If a map cannot be used or there is no id.
    """
    if not ids:
        raise DataError('There is no sample to score: the list of ids is empty.')
    parts, sizes, num_empty = [], [], 0
    for start in range(0, len(ids), chunk):
        some = ids[start : start + chunk]
        gt_maps = torch.stack([truth.draw(i) for i in some])
        stacked = {
            name: torch.cat(
                [upsample_maps(files.read(i)[None], size, interpolation) for i in some]
            )
            for name, files in maps.items()
        }
        parts.append(evaluate_maps(stacked, gt_maps, rules, prior, chunk))
        gt = GroundTruth(gt_maps)
        sizes += size_groups(gt)
        num_empty += int((gt.area == 0).sum())
    return MapScores(
        list(ids),
        tuple(rules),
        {row: torch.cat([part[row] for part in parts]) for row in parts[0]},
        sizes,
        [truth.categories[i] for i in ids],
        num_empty,
    )
