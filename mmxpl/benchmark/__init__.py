"""Comparisons of methods in equal budgets: cells, tables, curves."""

from .cells import Cell, launch, score_cell, train_cell
from .comparison import Comparison, split_options
from .curves import read_curves, write_curves
from .figures import draw_curves, draw_efficiency
from .methods import METHODS, Method, find_method, longer, options_of
from .tables import SCORES, mean_and_std, paired_differences, score_table
from .warm_start import find_lenders, share_warm_start, warm_up_epochs

__all__ = [
    'METHODS',
    'SCORES',
    'Cell',
    'Comparison',
    'Method',
    'draw_curves',
    'draw_efficiency',
    'find_lenders',
    'find_method',
    'launch',
    'longer',
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
    'write_curves',
]
