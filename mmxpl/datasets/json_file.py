"""Reads a JSON file that came from outside."""

import json
from pathlib import Path
from typing import Any

from mmxpl.utils import DataError


def read_json(path: str | Path) -> Any:
    """Reads a JSON file.

    Args:
        path (str | Path): the file.

    Returns:
        Any: What the file holds.

    Raises:
        DataError: If the file is missing or is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_bytes().decode('utf-8-sig'))
    except OSError as error:
        raise DataError(
            f'{path}: the annotation file cannot be read ({error.strerror}). Set '
            'ann_file, and data_root or the environment variable MMXPL_DATA_ROOT.'
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f'{path}: the annotation file is not JSON ({error}). Restore it or write '
            'it anew.'
        ) from error
