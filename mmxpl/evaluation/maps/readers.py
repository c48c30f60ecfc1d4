"""Heat maps and the annotations that they are scored against, read from files."""

import os.path as osp
import zipfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from mmxpl.datasets.annotations import looks_like_pixels
from mmxpl.datasets.av_json import AVJsonDataset
from mmxpl.datasets.flickr_soundnet import list_flickr_xml, read_flickr_xml
from mmxpl.datasets.id_list import read_id_list, refuse_duplicates
from mmxpl.datasets.transforms import RasterizeTargets
from mmxpl.datasets.vggss import VGGSSDataset
from mmxpl.structures import rasterize_consensus
from mmxpl.utils import DataError
from mmxpl.utils.files import files_below
from mmxpl.utils.ids import name_some

from ..functional import mean_gt_map
from ..prior import load_prior, read_map


@dataclass(frozen=True)
class MapFiles:
    """Maps on disk by id; :meth:`read` holds one of them in memory."""

    source: str  # the folder or archive
    ids: frozenset[str]
    load: Callable[[str], np.ndarray]  # from an id to the array as it is stored

    def read(self, sample_id: str) -> Tensor:
        """Reads one map, (h, w) float32 in [0, 1], see :func:`~.prior.read_map`."""
        where = f"{self.source}: the map of '{sample_id}'"
        return read_map(lambda: self.load(sample_id), where)


def open_maps(path: str) -> MapFiles:
    """Opens a folder of ``ID.npy`` or an ``.npz`` of id to map; none is read yet.

    Subfolders become part of the id, as in ``sub/ID``. A DataError says that there is
    no map.
    """
    source = Path(path)
    if not source.exists():
        raise DataError(
            f'{path}: does not exist. Name a folder of ID.npy files or an .npz archive.'
        )
    if source.is_dir():
        files = {
            file.relative_to(source).with_suffix('').as_posix(): file
            for file in files_below(source)
            if file.suffix == '.npy'
        }
        found = MapFiles(path, frozenset(files), lambda i: _load(files[i]))
    elif source.is_file() and zipfile.is_zipfile(source):
        try:
            archive = _load(source)
        except Exception as error:  # whatever damage leads to
            raise DataError(
                f'{path}: the archive cannot be read ({error}). Write it anew with '
                'numpy.savez.'
            ) from error
        refuse_duplicates(archive.files, path)
        found = MapFiles(path, frozenset(archive.files), archive.__getitem__)
    else:
        raise DataError(
            f'{path}: is neither a folder of ID.npy files nor an .npz archive of id to '
            'map. Write the maps with numpy.save or numpy.savez.'
        )
    if not found.ids:
        raise DataError(f'{path}: holds no map. Write one ID.npy, or entry, per clip.')
    return found


def _load(path: Path) -> np.ndarray | np.lib.npyio.NpzFile:
    # a pickle could run any code
    return np.load(path, allow_pickle=False)


@dataclass(frozen=True)
class TruthFile:
    """Annotations by id; :meth:`draw` makes one ground-truth map."""

    source: str  # the file or folder
    categories: dict[str, str | None]  # class of each annotated clip, sorted by id
    # from an id to the map, (224, 224) float32 in [0, 1]; all zero where no box has an
    # area within the frame
    draw: Callable[[str], Tensor]


FORMATS = {'vggss': 'VGG-SS', 'flickr': 'Flickr-SoundNet', 'json': 'a JSON list'}
"""dict[str, str]: what is read by the name of ``--ann-format``."""


def open_truth(ann_format: str, path: str, target: str = 'boxes') -> TruthFile:
    """Opens annotations, a key of :data:`FORMATS`, for the target 'boxes' or 'mask'.

    - 'vggss': the union of the boxes of ``vggss.json``. Items without a box in the
      frame are empty maps: the public evaluators count them.
    - 'flickr': the consensus of the annotators in a folder of ``ID.xml``; one is read
      when it is drawn.
    - 'json': the entries that have the target, see
      :class:`mmxpl.datasets.AVJsonDataset`.

    Raises a DataError if there is no such target, or boxes are in pixels.
    """
    if target != 'boxes' and ann_format != 'json':
        name = FORMATS[ann_format]
        raise DataError(f"{path}: {name} has boxes only, so --target '{target}' fails.")
    if ann_format == 'flickr':
        files = list_flickr_xml(path)
        return TruthFile(
            path,
            dict.fromkeys(files),
            lambda sample_id: rasterize_consensus(read_flickr_xml(files[sample_id])),
        )
    reader = VGGSSDataset if ann_format == 'vggss' else AVJsonDataset
    folder, name = osp.split(osp.abspath(path))
    dataset = reader(folder, ann_file=name, labeled=True, lazy_init=True)
    key = {'boxes': 'bboxes', 'mask': 'mask'}[target]
    entries = dataset.read_annotations().items()
    labeled = {i: entry for i, entry in entries if entry.get(key) is not None}
    if not labeled:
        raise DataError(
            f"{path}: no entry has '{key}', which the ground truth is drawn from. "
            'Choose another --target or the annotations of a labeled set.'
        )
    if target == 'boxes' and looks_like_pixels(
        [box for entry in labeled.values() for box in entry[key]]
    ):
        raise DataError(
            f'{path}: most boxes reach far beyond 1; they seem to be in pixels. '
            'Divide x by the width and y by the height of the frame.'
        )
    drawing = RasterizeTargets(source=target)

    def draw(sample_id: str) -> Tensor:
        entry = dict(labeled[sample_id], is_labeled=True, sample_id=sample_id)
        return drawing.transform(entry)['gt_map']

    categories = {i: labeled[i].get('category') for i in sorted(labeled)}
    return TruthFile(path, categories, draw)


def add_truth_arguments(parser: ArgumentParser) -> None:
    """Adds the options that name the annotations to the parser of a tool."""
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
    """Reads annotations and the sorted ids to evaluate.

    ``args`` has the options of :func:`add_truth_arguments`. A DataError says that a
    file cannot be used or that an id of the list is not annotated.
    """
    truth = open_truth(args.ann_format, args.ann, args.target)
    if not args.list:
        return truth, sorted(truth.categories)
    return truth, sorted(_read_annotated(args.list, truth))


def common_ids(expected: Collection[str], *maps: MapFiles) -> list[str]:
    """Finds the expected ids, sorted, that all sets of maps have.

    Raises a DataError if there is none.
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
    """Reads a prior map, (224, 224) in [0, 1], or averages it from training labels.

    ``path`` is an .npy file, or a list of training ids whose annotations ``truth`` has.
    A DataError says that it cannot be used, or that training ids are ``evaluated``.
    """
    if Path(path).suffix == '.npy':
        prior = load_prior(path)
        if prior.shape != (224, 224):
            raise DataError(
                f'The prior {path} has the shape {tuple(prior.shape)}: make it '
                '(224, 224).'
            )
        return prior
    ids = _read_annotated(path, truth)
    both = sorted(set(ids) & set(evaluated))
    if both:
        raise DataError(
            f'{path}: {len(both)} ids of the prior are evaluated as well '
            f'({name_some(both)}), so it would be fitted to the test. Give training '
            'ids.'
        )
    return mean_gt_map(map(truth.draw, ids))


def _read_annotated(path: str, truth: TruthFile) -> list[str]:
    """Reads a list of ids, all of which must have an annotation."""
    ids = read_id_list(path)
    lacking = [i for i in ids if i not in truth.categories]
    if lacking:
        raise DataError(
            f'{path}: {len(lacking)} of {len(ids)} ids have no annotation in '
            f'{truth.source} ({name_some(lacking)}). Take them out of the list, or '
            'name the annotations that belong to it.'
        )
    return ids
