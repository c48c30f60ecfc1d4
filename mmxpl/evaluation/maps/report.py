"""Scores of one set of maps as data and as a Markdown page."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from mmxpl.utils import hash_ids

from ..functional import (
    ALL_RULES,
    INTERPOLATIONS,
    SIZE_GROUPS,
    SWEEP,
    bootstrap_intervals,
    per_sample_scores,
)
from .presets import Preset
from .score import MapScores

CIOU_THRESHOLDS = (0.3, 0.5, 0.75)
"""tuple[float]: the t of the CIoU@t that a report holds."""

MEASURES = (*(f'CIoU@{t:g}' for t in CIOU_THRESHOLDS), 'AUC')
"""tuple[str]: what a report holds under each rule."""

REFERENCES = ('disc', 'whole', 'prior', 'oracle')
"""tuple[str]: reference rows in the order of the table."""


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
    """Everything that stands beside a score, as plain data.

    Args:
        scores (MapScores): Of a single model, named 'maps', and the references.
        expected (Collection[str]): Ids that the protocol's list has.
        source (Mapping[str, str]): Further lines of the protocol.
        interpolation (str): How maps were resized.
        surplus (int): How many maps belong to no expected id.
        lists (Mapping[str, Collection[str]], optional): Ids of groups to score,
            such as heard and unheard classes.
        resamples (int): Bootstrap resamples for 95 % intervals; 0 leaves them out.
        seed (int): Seed of the resampling.
        preset (Preset, optional): The recipe that is reproduced.

    Returns:
        dict: ``scores`` by rule and ``reference`` by row and rule, in per cent;
        ``below_disc``, ``intervals``, ``sweep``, ``groups``, ``preset`` and
        ``protocol``.
    """
    rules = [rule for rule in scores.rules if rule not in SWEEP]
    rows = {row: _by_rule(values, scores, rules) for row, values in _rows(scores)}
    report = {
        'scores': rows.pop('maps'),
        'reference': rows,
        'protocol': _protocol(scores, expected, source, interpolation, surplus, rules),
    }
    report['below_disc'] = [
        f'{rule}/{measure}'
        for rule, values in report['scores'].items()
        for measure in MEASURES
        if values[measure] < rows['disc'][rule][measure]
    ]
    if resamples:
        report['intervals'] = _intervals(scores, rules, resamples, seed)
        report['protocol']['intervals'] = (
            f'95 %, percentile bootstrap, {resamples} resamples, seed {seed}'
        )
    if set(SWEEP) <= set(scores.rules):
        report['sweep'] = _sweep(scores)
    report['groups'] = _groups(scores, rules, lists or {})
    if preset:
        report['preset'] = _preset(preset, report)
    return report


def _rows(scores: MapScores) -> list[tuple[str, Tensor]]:
    """Rows of CIoU under their names in the report."""
    return [(row.removeprefix('ref/'), v) for row, v in scores.cious.items()]


def _measure(cious: Tensor) -> dict[str, float]:
    """Scores of one row under one rule, in per cent."""
    means = 100 * per_sample_scores(cious, CIOU_THRESHOLDS).mean(0)
    values = dict(zip(MEASURES, means.tolist(), strict=True))
    return values | {'mean_CIoU': 100 * cious.mean().item()}


def _by_rule(
    cious: Tensor, scores: MapScores, rules: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Scores of one row under some of the rules."""
    return {rule: _measure(cious[:, scores.rules.index(rule)]) for rule in rules}


def _intervals(
    scores: MapScores, rules: Sequence[str], resamples: int, seed: int
) -> dict[str, dict[str, list[float]]]:
    """Bootstrap intervals of the scores, in per cent."""
    columns = [
        per_sample_scores(
            scores.cious['maps'][:, scores.rules.index(r)], CIOU_THRESHOLDS
        )
        for r in rules
    ]
    ends = 100 * bootstrap_intervals(torch.cat(columns, 1), resamples, seed)
    return {
        rule: dict(zip(MEASURES, part.tolist(), strict=True))
        for rule, part in zip(rules, ends.split(len(MEASURES)), strict=True)
    }


def _sweep(scores: MapScores) -> dict:
    """The best of many thresholds for each row, and the curve of the maps."""
    found: dict = {
        'chosen_on': 'the evaluated set itself: an upper bound, not a protocol',
        'best': {},
    }
    for row, values in _rows(scores):
        curve = _by_rule(values, scores, SWEEP)
        best = {
            f'by_{m}': max(SWEEP, key=lambda r: curve[r][m])
            for m in ('CIoU@0.5', 'AUC')
        }
        found['best'][row] = {
            name: {'threshold': ALL_RULES[rule].level, **curve[rule]}
            for name, rule in best.items()
        }
        if row == 'maps':
            found['curve'] = {f'{ALL_RULES[r].level:.2f}': curve[r] for r in SWEEP}
    return found


def _groups(
    scores: MapScores, rules: Sequence[str], lists: Mapping[str, Collection[str]]
) -> dict[str, dict]:
    """Scores of parts of the samples, with the disc's beside them."""
    members: dict[str, dict[str, list[int]]] = {
        'size': {name: [] for name in SIZE_GROUPS},
        'class': {},
        'list': {},
    }
    labels = {'size': scores.sizes, 'class': scores.categories}
    for kind, names in labels.items():
        for n, name in enumerate(names):
            if name is not None:
                members[kind].setdefault(name, []).append(n)
    for name, ids in lists.items():
        wanted = set(ids)
        chosen = [n for n, i in enumerate(scores.ids) if i in wanted]
        members['list'][name] = chosen
    return {
        kind: {
            name: {
                'n': len(chosen),
                **(
                    {
                        'scores': _by_rule(scores.cious['maps'][chosen], scores, rules),
                        'disc': _by_rule(
                            scores.cious['ref/disc'][chosen], scores, rules
                        ),
                    }
                    if chosen
                    else {}
                ),
            }
            for name, chosen in groups.items()
        }
        for kind, groups in members.items()
        if groups
    }


def _preset(preset: Preset, report: dict) -> dict:
    """The recipe, and what it gives."""
    if preset.rules == SWEEP:
        result = report['sweep']['best']['maps']
    else:
        result = {rule: report['scores'][rule] for rule in preset.rules}
    return {'recipe': preset.describe().splitlines(), 'scores': result}


def _protocol(
    scores: MapScores,
    expected: Collection[str],
    source: Mapping[str, str],
    interpolation: str,
    surplus: int,
    rules: Sequence[str],
) -> dict:
    """What was done."""
    mode, align_corners = INTERPOLATIONS[interpolation]
    return {
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
