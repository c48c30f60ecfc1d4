"""Scores of anyone's heat maps: files of maps against files of annotations."""

from .compare import compare_scores
from .files import MapFiles, open_maps
from .page import format_comparison, format_markdown, format_protocol
from .presets import PRESETS, Preset
from .report import build_report
from .score import MapScores, score_files
from .truth import FORMATS, TruthFile

__all__ = [
    'FORMATS',
    'PRESETS',
    'MapFiles',
    'MapScores',
    'Preset',
    'TruthFile',
    'build_report',
    'compare_scores',
    'format_comparison',
    'format_markdown',
    'format_protocol',
    'open_maps',
    'score_files',
]
