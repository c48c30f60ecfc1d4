"""Converts many clips: in parallel, again after an interruption, each or not."""

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import MofNCompleteColumn, Progress

from mmxpl.utils import DataError
from mmxpl.utils.parallel import map_in_threads

from .files import write_text

SETTINGS, FAILED = 'convert.json', 'failed.csv'


@dataclass
class BatchResult:
    """What became of the clips.

    Args:
        done (list[str]): ids that are complete now, in the order given.
        already (int): how many of them were so before.
        failed (dict[str, str]): reason by id of the others.
    """

    done: list[str] = field(default_factory=list)
    already: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Says it in a line."""
        return (
            f'{len(self.done) + len(self.failed)} clips: {len(self.done)} complete '
            f'({self.already} of them from an earlier run), {len(self.failed)} failed'
        )


def convert_batch(
    out: Path,
    ids: Sequence[str],
    is_complete: Callable[[str], bool],
    convert: Callable[[str], None],
    settings: Mapping,
    workers: int = 1,
) -> BatchResult:
    """Converts clips into a folder and lists those that cannot be.

    A clip that is complete is not converted again; so an interrupted run goes on
    where it stopped. ``failed.csv`` holds the ids and reasons of the
    last run, ``convert.json`` the settings, which must stay the same.

    Args:
        out (Path): the folder.
        ids (Sequence[str]): the clips.
        is_complete (Callable): whether all files of a clip are there.
        convert (Callable): writes them, each at once (see
            :mod:`mmxpl.datasets.convert.files`); raises a DataError with the
            reason if the clip cannot be converted.
        settings (Mapping): what decides the files, as plain JSON values.
        workers (int): threads. Defaults to 1.

    Returns:
        BatchResult: What became of them.

    Raises:
        DataError: If the folder was converted with other settings.
    """
    _check_settings(out / SETTINGS, dict(settings))
    open_ids = [i for i in ids if not is_complete(i)]
    result = BatchResult(already=len(ids) - len(open_ids))

    def attempt(sample_id: str) -> tuple[str, str]:
        try:
            convert(sample_id)
        except DataError as error:
            return sample_id, str(error)
        return sample_id, ''

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        row = progress.add_task(str(out), total=len(ids), completed=result.already)
        for sample_id, reason in map_in_threads(attempt, open_ids, workers):
            progress.advance(row)
            if reason:
                result.failed[sample_id] = reason
    result.done = [i for i in ids if i not in result.failed]
    table = io.StringIO()
    csv.writer(table, lineterminator='\n').writerows(result.failed.items())
    write_text(out / FAILED, table.getvalue())
    return result


def _check_settings(path: Path, settings: dict) -> None:
    """Writes the settings, or refuses others than those that are there."""
    text = json.dumps(settings, indent=2, sort_keys=True) + '\n'
    try:
        found = path.read_text(encoding='utf-8', errors='replace')
    except FileNotFoundError:
        write_text(path, text)
        return
    if found != text:
        raise DataError(
            f'{path}: the folder was converted with other settings ({found.strip()}). '
            'Use them again, choose another folder or remove this one.'
        )
