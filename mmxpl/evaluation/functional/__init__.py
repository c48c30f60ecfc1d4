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
    size_groups,
    success_rate,
    upsample_maps,
)
from .multi_source import (
    ASSIGNMENTS,
    assigned_scores,
    pairwise_ap,
    pairwise_ciou,
    worst_of_group,
)
from .negatives import (
    active_area,
    area_auc,
    extended_ap,
    harmonic_mean,
    localization_accuracy,
    map_confidence,
    max_f1,
    precision_recall,
    universal_threshold,
)
from .protocol import (
    REFERENCE_NAMES,
    describe_rules,
    format_counts,
    format_rules,
    format_table,
    markdown_table,
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
