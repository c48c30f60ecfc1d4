"""What the tools that score files of maps have in common."""

from argparse import ArgumentParser, Namespace
from collections.abc import Collection
from pathlib import Path

from torch import Tensor

from mmxpl.datasets.id_list import read_id_list
from mmxpl.utils import DataError
from mmxpl.utils.ids import name_some

from ..functional import mean_gt_map
from ..prior import load_prior
from .files import MapFiles
from .truth import FORMATS, TruthFile


def add_truth_arguments(parser: ArgumentParser) -> None:
    """Adds the options that say what maps are scored against.

    Args:
        parser (ArgumentParser): The tool's parser.
    """
    parser.add_argument(
        '--ann', required=True, metavar='FILE_OR_DIR', help='published annotations'
    )
    parser.add_argument(
        '--ann-format',
        required=True,
        choices=list(FORMATS),
        help='vggss: vggss.json; flickr: folder of ID.xml; json: a list as '
        'AVJsonDataset reads it',
    )
    parser.add_argument(
        '--target',
        choices=['boxes', 'mask'],
        default='boxes',
        help='what the ground truth is drawn from (default: boxes)',
    )
    parser.add_argument(
        '--list',
        metavar='LIST',
        help='text or csv file of the ids to evaluate (default: all annotated)',
    )


def read_truth(args: Namespace) -> tuple[TruthFile, list[str]]:
    """Reads annotations and the ids that are to be evaluated.

    Args:
        args (Namespace): With the options of :func:`add_truth_arguments`.

    Returns:
        tuple[TruthFile, list[str]]: The annotations; the sorted expected ids.

    Raises:
        DataError: If a file cannot be used or an id of the list is not annotated.
    """
    truth = FORMATS[args.ann_format](args.ann, args.target)
    if not args.list:
        return truth, sorted(truth.categories)
    ids = read_id_list(args.list)
    _check_annotated(ids, truth, args.list)
    return truth, sorted(ids)


def common_ids(expected: Collection[str], *maps: MapFiles) -> list[str]:
    """Expected ids that all sets of maps have.

    Args:
        expected (Collection[str]): The ids of the protocol.
        *maps (MapFiles): One set or more.

    Returns:
        list[str]: Sorted ids.

    Raises:
        DataError: If there is none.
    """
    ids = sorted(set(expected).intersection(*(files.ids for files in maps)))
    if not ids:
        names = ', '.join(files.source for files in maps)
        raise DataError(
            f'{names}: not one map belongs to an expected id. Maps are named like '
            f'{name_some(sorted(maps[0].ids), 2)}, expected ids like '
            f'{name_some(sorted(expected), 2)}: name each map after its clip.'
        )
    return ids


def read_prior(path: str, truth: TruthFile, evaluated: Collection[str]) -> Tensor:
    """Reads a prior map, or makes it from training labels.

    Args:
        path (str): An .npy file, or a list of training ids whose annotations
            ``truth`` has.
        truth (TruthFile): The annotations.
        evaluated (Collection[str]): Ids that are scored.

    Returns:
        Tensor: (224, 224) float32 in [0, 1].

    Raises:
        DataError: If it cannot be used, or if training ids are evaluated.
    """
    if Path(path).suffix == '.npy':
        prior = load_prior(path)
        if prior.shape != (224, 224):
            raise DataError(
                f'The prior {path} has the shape {tuple(prior.shape)}: make it '
                '(224, 224).'
            )
        return prior
    ids = read_id_list(path)
    _check_annotated(ids, truth, path)
    both = sorted(set(ids) & set(evaluated))
    if both:
        raise DataError(
            f'{path}: {len(both)} ids of the prior are evaluated as well '
            f'({name_some(both)}), so it would be fitted to the test. Give training '
            'ids.'
        )
    return mean_gt_map(map(truth.draw, ids))


def write_output(path: str, text: str) -> None:
    """Writes a result file, with its folder.

    Args:
        path (str): The file.
        text (str): What it shall hold.

    Raises:
        DataError: If it cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding='utf-8')
    except OSError as error:
        raise DataError(
            f'{path}: the result cannot be written ({error.strerror}). Name a file in '
            'a folder that you may write to.'
        ) from error


def _check_annotated(ids: Collection[str], truth: TruthFile, path: str) -> None:
    """Refuses a list with ids that have no annotation."""
    lacking = [i for i in ids if i not in truth.categories]
    if lacking:
        raise DataError(
            f'{path}: {len(lacking)} of {len(ids)} ids have no annotation in '
            f'{truth.source} ({name_some(lacking)}). Take them out of the list, or '
            'name the annotations that belong to it.'
        )
