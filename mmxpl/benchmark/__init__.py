"""Comparisons of methods in equal budgets: cells, tables, curves."""

from .cells import Cell, launch, run_cell
from .curves import read_curves, write_curves
from .figures import draw_curves, draw_efficiency
from .methods import METHODS, Method, find_method, options_of
from .tables import SCORES, mean_and_std, paired_differences, score_table

__all__ = [
    'METHODS',
    'SCORES',
    'Cell',
    'Method',
    'draw_curves',
    'draw_efficiency',
    'find_method',
    'launch',
    'mean_and_std',
    'options_of',
    'paired_differences',
    'read_curves',
    'run_cell',
    'score_table',
    'write_curves',
]
