"""Scores of the heat maps of any method, read from files."""

from .markdown import format_comparison, format_markdown, format_protocol
from .presets import PRESETS, STANDARD, Preset
from .readers import (
    MapFiles,
    TruthFile,
    add_truth_arguments,
    common_ids,
    open_maps,
    open_truth,
    read_prior,
    read_truth,
)
from .report import MapScores, build_report, compare_scores, score_files
