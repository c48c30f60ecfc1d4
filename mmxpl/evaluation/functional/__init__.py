"""Scores as pure functions of tensors, whatever their device."""

from mmxpl.structures import rasterize_boxes, rasterize_consensus

from .ciou import (
    AUC_THRESHOLDS,
    auc,
    ciou,
    success_rate,
)
from .coco_ap import (
    COCO_NAMES,
    coco_ap,
)
from .confidence import map_confidence
from .evaluate import evaluate_maps
from .extended import (
    extended_ap,
    localization_accuracy,
    max_f1,
    precision_recall,
)
from .ground_truth import GroundTruth
from .groups import (
    SIZE_GROUPS,
    size_groups,
)
from .interactive import worst_of_group
from .map_boxes import (
    BOX_MODES,
    MapBoxes,
    boxes_from_map,
)
from .multi_source import (
    ASSIGNMENTS,
    assigned_scores,
    pairwise_ap,
    pairwise_ciou,
)
from .negative_audio import (
    active_area,
    area_auc,
    harmonic_mean,
    universal_threshold,
)
from .pixel_ap import pixel_ap
from .protocol import (
    REFERENCE_NAMES,
    format_card,
    format_counts,
    format_table,
    summarise,
)
from .reference import (
    centred_disc,
    mean_gt_map,
    reference_cious,
)
from .resampling import (
    bootstrap_intervals,
    mcnemar_p_value,
    per_sample_scores,
    sign_flip_p_values,
)
from .scoring import (
    score_maps,
    score_shared_map,
)
from .segmentation import (
    F_THRESHOLDS,
    f_scores,
    mask_iou,
)
from .thresholds import (
    ALL_RULES,
    RULES,
    SWEEP,
    Rule,
    binarise,
    order_statistics,
    thresholds,
)
from .upsample import (
    INTERPOLATIONS,
    upsample_maps,
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
    'evaluate_maps',
    'extended_ap',
    'f_scores',
    'format_card',
    'format_counts',
    'format_table',
    'harmonic_mean',
    'localization_accuracy',
    'map_confidence',
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
    'thresholds',
    'universal_threshold',
    'upsample_maps',
    'worst_of_group',
]
