"""Scores of files of maps as plain data: reports and paired tests of two methods."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmxpl.utils import DataError, hash_ids

from ..functional import (
    ALL_RULES,
    INTERPOLATIONS,
    RULES,
    SIZE_GROUPS,
    SWEEP,
    GroundTruth,
    bootstrap_intervals,
    evaluate_maps,
    mcnemar_p_value,
    per_sample_scores,
    sign_flip_p_values,
    size_groups,
    upsample_maps,
)
from .presets import Preset
from .readers import MapFiles, TruthFile

CIOU_THRESHOLDS = (0.3, 0.5, 0.75)
"""tuple[float]: the t of the CIoU@t that a report holds."""

MEASURES = (*(f'CIoU@{t:g}' for t in CIOU_THRESHOLDS), 'AUC')
"""tuple[str]: scores that a report holds under each rule."""


@dataclass(frozen=True)
class MapScores:
    """CIoU of N samples under R rules, with the groups of the samples."""

    ids: list[str]
    rules: tuple[str, ...]
    cious: dict[str, Tensor]  # (N, R) float64 by model, and by reference, ref/<name>
    sizes: list[str]  # size groups
    categories: list[str | None]  # classes
    num_empty: int  # samples without an annotated pixel


def score_files(
    maps: Mapping[str, MapFiles],
    truth: TruthFile,
    ids: Sequence[str],
    rules: Sequence[str] = tuple(RULES),
    interpolation: str = 'bilinear',
    prior: Tensor | None = None,
    chunk: int = 32,
) -> MapScores:
    """Computes CIoU of files of maps, by model, under several rules, in one pass.

    Memory holds ``chunk`` maps at full resolution; the result, in the order of ``ids``,
    does not depend on it. A DataError says that a map cannot be used or that there is
    no id.

    Args:
        maps (Mapping[str, MapFiles]): Files of each model, by its name.
        truth (TruthFile): The annotations.
        ids (Sequence[str]): Samples that all models and the annotations have.
        rules (Sequence[str]): Keys of :data:`mmxpl.evaluation.functional.ALL_RULES`.
        interpolation (str): How maps are resized.
        prior (Tensor, optional): (S, S) probabilities; adds ``ref/prior``.
        chunk (int): Number of samples held at once.
    """
    if not ids:
        raise DataError('There is no sample to score: the list of ids is empty.')
    parts, sizes, num_empty = [], [], 0
    for start in range(0, len(ids), chunk):
        some = ids[start : start + chunk]
        gt_maps = torch.stack([truth.draw(i) for i in some])
        size = gt_maps.shape[-1]
        stacked = {
            name: torch.cat(
                [upsample_maps(files.read(i)[None], size, interpolation) for i in some]
            )
            for name, files in maps.items()
        }
        parts.append(evaluate_maps(stacked, gt_maps, rules, prior))
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


def compare_scores(
    scores: MapScores,
    first: str,
    second: str,
    resamples: int = 2000,
    permutations: int = 10000,
    seed: int = 0,
) -> dict[str, dict]:
    """Tests two models of ``scores`` in pairs on the same samples, under each rule.

    Returns:
        dict[str, dict]: For each rule, under ``CIoU@0.5`` and ``AUC``: both scores
        (``first``, ``second``), their ``difference``, first minus second, with its 95 %
        ``interval``, in per cent, and ``p_sign_flip``; for CIoU@0.5 also the number of
        samples at which one alone succeeds (``only_first``, ``only_second``) and
        McNemar's exact ``p_mcnemar``. No p-value is corrected for the number of rules.
    """
    values = {
        name: torch.cat(
            [per_sample_scores(column) for column in scores.cious[name].unbind(1)], 1
        )
        for name in (first, second)
    }
    differences = values[first] - values[second]
    intervals = 100 * bootstrap_intervals(differences, resamples, seed)
    p_values = sign_flip_p_values(differences, permutations, seed)
    result: dict[str, dict] = {}
    measures = [(rule, m) for rule in scores.rules for m in ('CIoU@0.5', 'AUC')]
    for k, (rule, measure) in enumerate(measures):
        found = {
            'first': 100 * values[first][:, k].mean().item(),
            'second': 100 * values[second][:, k].mean().item(),
            'difference': 100 * differences[:, k].mean().item(),
            'interval': intervals[k].tolist(),
            'p_sign_flip': p_values[k].item(),
        }
        if measure == 'CIoU@0.5':
            only_first = int((differences[:, k] > 0).sum())
            only_second = int((differences[:, k] < 0).sum())
            found |= {
                'only_first': only_first,
                'only_second': only_second,
                'p_mcnemar': mcnemar_p_value(only_first, only_second),
            }
        result.setdefault(rule, {})[measure] = found
    return result


def build_report(
    scores: MapScores,
    expected: Collection[str],
    source: Mapping[str, str],
    interpolation: str,
    surplus: int = 0,
    lists: Mapping[str, Collection[str]] | None = None,
    resamples: int = 0,
    seed: int = 0,
    preset: Preset | None = None,
) -> dict:
    """Gathers scores, references, groups and protocol as plain data.

    Args:
        scores (MapScores): Of a single model, named 'maps', and the references, among
            them perhaps vision-only maps, named 'ref/vision'.
        expected (Collection[str]): Ids that the protocol's list has.
        source (Mapping[str, str]): Further lines of the protocol.
        interpolation (str): How maps were resized, a key of ``INTERPOLATIONS``.
        surplus (int): Number of maps that belong to no expected id.
        lists (Mapping[str, Collection[str]], optional): Ids of groups to score,
            such as heard and unheard classes.
        resamples (int): Bootstrap resamples for 95 % intervals; 0 leaves them out.
        seed (int): Seed of the resampling.
        preset (Preset, optional): The recipe that is reproduced.

    Returns:
        dict: ``scores`` by rule and ``reference`` by row and rule, in per cent;
        ``below_disc``, ``below_vision``, ``intervals``, ``sweep``, ``groups``,
        ``preset`` and ``protocol``.
    """
    rules = [rule for rule in scores.rules if rule not in SWEEP]
    rows = {
        row.removeprefix('ref/'): _by_rule(values, scores, rules)
        for row, values in scores.cious.items()
    }
    mode, align_corners = INTERPOLATIONS[interpolation]
    protocol = {
        **source,
        'unit': 'per cent',
        'size': 224,
        'interpolation': f'{mode}, align_corners={align_corners}',
        'rules': {r: f'{ALL_RULES[r].sign} {ALL_RULES[r].about}' for r in rules},
        'auc': 'trapezoids over CIoU thresholds 0, 0.05 ... 1',
        'n_evaluated': len(scores.ids),
        'n_expected': len(expected),
        'n_empty_ground_truth': scores.num_empty,
        'n_maps_not_expected': surplus,
        'list_hash': hash_ids(expected),
        'evaluated_hash': hash_ids(scores.ids),
        'missing': sorted(set(expected) - set(scores.ids)),
    }
    maps = rows.pop('maps')
    report = {'scores': maps, 'reference': rows, 'protocol': protocol}
    for reference in [name for name in ('disc', 'vision') if name in rows]:
        report[f'below_{reference}'] = [
            f'{rule}/{measure}'
            for rule, values in maps.items()
            for measure in MEASURES
            if values[measure] < rows[reference][rule][measure]
        ]
    if resamples:
        columns = [
            per_sample_scores(
                scores.cious['maps'][:, scores.rules.index(rule)], CIOU_THRESHOLDS
            )
            for rule in rules
        ]
        ends = 100 * bootstrap_intervals(torch.cat(columns, 1), resamples, seed)
        report['intervals'] = {
            rule: dict(zip(MEASURES, part.tolist(), strict=True))
            for rule, part in zip(rules, ends.split(len(MEASURES)), strict=True)
        }
        protocol['intervals'] = (
            f'95 %, percentile bootstrap, {resamples} resamples, seed {seed}'
        )
    if set(SWEEP) <= set(scores.rules):
        report['sweep'] = _sweep(scores)
    report['groups'] = _groups(scores, rules, lists or {})
    if preset:
        sweeps = preset.rules == SWEEP
        report['preset'] = {
            'recipe': preset.describe().splitlines(),
            'scores': report['sweep']['best']['maps']
            if sweeps
            else {rule: maps[rule] for rule in preset.rules},
        }
    return report


def _by_rule(
    cious: Tensor, scores: MapScores, rules: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Scores of one row under some of the rules, in per cent."""
    found = {}
    for rule in rules:
        column = cious[:, scores.rules.index(rule)]
        means = 100 * per_sample_scores(column, CIOU_THRESHOLDS).mean(0)
        found[rule] = dict(zip(MEASURES, means.tolist(), strict=True))
        found[rule]['mean_CIoU'] = 100 * column.mean().item()
    return found


def _sweep(scores: MapScores) -> dict:
    """The best of many thresholds for each row, and the curve of the maps."""
    curves = {
        row.removeprefix('ref/'): _by_rule(values, scores, SWEEP)
        for row, values in scores.cious.items()
    }

    def best(curve: Mapping[str, Mapping[str, float]], measure: str) -> dict:
        rule = max(curve, key=lambda rule: curve[rule][measure])
        return {'threshold': ALL_RULES[rule].level, **curve[rule]}

    return {
        'chosen_on': 'the evaluated set itself: an upper bound, not a protocol',
        'best': {
            row: {f'by_{m}': best(curve, m) for m in ('CIoU@0.5', 'AUC')}
            for row, curve in curves.items()
        },
        'curve': {f'{ALL_RULES[r].level:.2f}': curves['maps'][r] for r in SWEEP},
    }


def _groups(
    scores: MapScores, rules: Sequence[str], lists: Mapping[str, Collection[str]]
) -> dict[str, dict]:
    """Scores of parts of the samples, with the disc's beside them."""

    def measure(belongs: Iterable[bool]) -> dict:
        chosen = [n for n, belonging in enumerate(belongs) if belonging]
        if not chosen:
            return {'n': 0}
        return {
            'n': len(chosen),
            'scores': _by_rule(scores.cious['maps'][chosen], scores, rules),
            'disc': _by_rule(scores.cious['ref/disc'][chosen], scores, rules),
        }

    classes = [name for name in dict.fromkeys(scores.categories) if name is not None]
    groups = {
        'size': {g: measure(s == g for s in scores.sizes) for g in SIZE_GROUPS},
        'class': {c: measure(k == c for k in scores.categories) for c in classes},
        'list': {
            name: measure(i in wanted for i in scores.ids)
            for name, wanted in ((name, set(ids)) for name, ids in lists.items())
        },
    }
    return {kind: found for kind, found in groups.items() if found}
