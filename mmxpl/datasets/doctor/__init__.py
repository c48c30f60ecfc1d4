"""Examines lists, annotations and media, and says what is wrong with them."""

from .boxes import check_annotations, check_shapes
from .lists import check_contents, check_lists, clean_lists, read_lists
from .media import check_media
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
