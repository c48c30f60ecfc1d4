"""Scores as pure functions of tensors on any device."""

from mmxpl.structures import rasterize_boxes, rasterize_consensus

from .box_ap import BOX_MODES, COCO_NAMES, MapBoxes, boxes_from_map, coco_ap
from .ciou import (
    AUC_THRESHOLDS,
    INTERPOLATIONS,
    SIZE_GROUPS,
    GroundTruth,
    auc,
    ciou,
    score_maps,
    score_shared_map,
    size_groups,
    success_rate,
    upsample_maps,
)
from .extended import (
    extended_ap,
    localization_accuracy,
    map_confidence,
    max_f1,
    precision_recall,
)
from .interactive import worst_of_group
from .multi_source import ASSIGNMENTS, assigned_scores, pairwise_ap, pairwise_ciou
from .negative_audio import active_area, area_auc, harmonic_mean, universal_threshold
from .protocol import (
    REFERENCE_NAMES,
    describe_rules,
    format_card,
    format_counts,
    format_rules,
    format_table,
    markdown_table,
    summarise,
    summarise_row,
)
from .reference import centred_disc, evaluate_maps, mean_gt_map, reference_cious
from .resampling import (
    bootstrap_intervals,
    mcnemar_p_value,
    per_sample_scores,
    sign_flip_p_values,
)
from .segmentation import F_THRESHOLDS, f_scores, mask_iou, pixel_ap
from .thresholds import (
    ALL_RULES,
    RULES,
    SWEEP,
    Rule,
    binarise,
    order_statistics,
    thresholds,
)

__all__ = [
    'ALL_RULES',
    'ASSIGNMENTS',
    'AUC_THRESHOLDS',
    'BOX_MODES',
    'COCO_NAMES',
    'F_THRESHOLDS',
    'INTERPOLATIONS',
    'REFERENCE_NAMES',
    'RULES',
    'SIZE_GROUPS',
    'SWEEP',
    'GroundTruth',
    'MapBoxes',
    'Rule',
    'active_area',
    'area_auc',
    'assigned_scores',
    'auc',
    'binarise',
    'bootstrap_intervals',
    'boxes_from_map',
    'centred_disc',
    'ciou',
    'coco_ap',
    'describe_rules',
    'evaluate_maps',
    'extended_ap',
    'f_scores',
    'format_card',
    'format_counts',
    'format_rules',
    'format_table',
    'harmonic_mean',
    'localization_accuracy',
    'map_confidence',
    'markdown_table',
    'mask_iou',
    'max_f1',
    'mcnemar_p_value',
    'mean_gt_map',
    'order_statistics',
    'pairwise_ap',
    'pairwise_ciou',
    'per_sample_scores',
    'pixel_ap',
    'precision_recall',
    'rasterize_boxes',
    'rasterize_consensus',
    'reference_cious',
    'score_maps',
    'score_shared_map',
    'sign_flip_p_values',
    'size_groups',
    'success_rate',
    'summarise',
    'summarise_row',
    'thresholds',
    'universal_threshold',
    'upsample_maps',
    'worst_of_group',
]
