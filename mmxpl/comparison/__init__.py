"""Comparisons of methods in equal budgets: trainings, tables, figures."""

from .cells import Cell, launch, score_cell, share_warm_start, train_cell
from .comparison import (
    SCORED_RULES,
    Comparison,
    choose_threshold,
    list_of_split,
    split_options,
    with_chosen,
    write_report,
)
from .figures import draw_curves, draw_efficiency, read_curves, write_curves
from .methods import (
    FULL,
    Method,
    find_lenders,
    find_method,
    options_of,
    settings_of,
    warm_up_epochs,
)
from .tables import (
    MODEL_TITLES,
    REFERENCES,
    SCORES,
    mean_and_std,
    paired_differences,
    references_of,
    rows_of,
    score_table,
)

__all__ = [
    'FULL',
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
    'list_of_split',
    'mean_and_std',
    'options_of',
    'paired_differences',
    'read_curves',
    'references_of',
    'rows_of',
    'score_cell',
    'score_table',
    'settings_of',
    'share_warm_start',
    'split_options',
    'train_cell',
    'warm_up_epochs',
    'with_chosen',
    'write_curves',
    'write_report',
]
