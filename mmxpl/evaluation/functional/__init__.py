"""Scores as pure functions of tensors, whatever their device."""

from .ciou import AUC_THRESHOLDS, auc, ciou, success_rate
from .evaluate import evaluate_maps
from .ground_truth import GroundTruth
from .groups import SIZE_GROUPS, size_groups
from .protocol import REFERENCE_NAMES, format_card, format_table, summarise
from .rasterize import rasterize_boxes, rasterize_consensus
from .reference import centred_disc, mean_gt_map, reference_cious
from .resampling import (
    bootstrap_intervals,
    mcnemar_p_value,
    per_sample_scores,
    sign_flip_p_values,
)
from .scoring import score_maps, score_shared_map
from .thresholds import (
    ALL_RULES,
    RULES,
    SWEEP,
    Rule,
    binarise,
    order_statistics,
    thresholds,
)
from .upsample import INTERPOLATIONS, upsample_maps

__all__ = [
    'ALL_RULES',
    'INTERPOLATIONS',
    'REFERENCE_NAMES',
    'SIZE_GROUPS',
    'SWEEP',
    'bootstrap_intervals',
    'mcnemar_p_value',
    'per_sample_scores',
    'sign_flip_p_values',
    'size_groups',
    'AUC_THRESHOLDS',
    'RULES',
    'GroundTruth',
    'Rule',
    'auc',
    'binarise',
    'centred_disc',
    'ciou',
    'evaluate_maps',
    'format_card',
    'format_table',
    'mean_gt_map',
    'order_statistics',
    'rasterize_boxes',
    'rasterize_consensus',
    'reference_cious',
    'score_maps',
    'score_shared_map',
    'success_rate',
    'summarise',
    'thresholds',
    'upsample_maps',
]
