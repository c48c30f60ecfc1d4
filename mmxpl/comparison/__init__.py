"""Comparisons of methods in equal budgets: cells, tables, curves."""

from .cells import Cell, launch, score_cell, train_cell
from .comparison import MODELS, REFERENCES, Comparison, split_options
from .curves import read_curves, write_curves
from .figures import draw_curves, draw_efficiency
from .methods import FULL, Method, find_method, options_of
from .report import write_report
from .tables import MODEL_TITLES, SCORES, mean_and_std, paired_differences, score_table
from .thresholds import SCORED_RULES, choose_threshold, with_chosen
from .warm_start import find_lenders, share_warm_start, warm_up_epochs

__all__ = [
    'FULL',
    'MODELS',
    'MODEL_TITLES',
    'REFERENCES',
    'SCORED_RULES',
    'SCORES',
    'Cell',
    'Comparison',
    'Method',
    'choose_threshold',
    'draw_curves',
    'draw_efficiency',
    'find_lenders',
    'find_method',
    'launch',
    'mean_and_std',
    'options_of',
    'paired_differences',
    'read_curves',
    'score_cell',
    'score_table',
    'share_warm_start',
    'split_options',
    'train_cell',
    'warm_up_epochs',
    'with_chosen',
    'write_curves',
    'write_report',
]
