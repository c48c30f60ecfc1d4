"""Checks of the lists, annotations and media of a data set."""

from .clips import check_annotations, check_media, check_shapes
from .lists import check_contents, check_lists, clean_lists, read_lists
from .report import count_problems, format_report

__all__ = [
    'check_annotations',
    'check_contents',
    'check_lists',
    'check_media',
    'check_shapes',
    'clean_lists',
    'count_problems',
    'format_report',
    'read_lists',
]
