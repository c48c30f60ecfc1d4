"""Comparisons of methods in equal budgets: trainings, tables, figures."""

from .cells import Cell, launch
from .comparison import Comparison, list_of_split, split_options, write_report
from .methods import find_method
