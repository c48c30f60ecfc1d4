"""Ground truth of a benchmark from its published annotation file."""

import os.path as osp
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mmxpl.datasets.annotations import looks_like_pixels
from mmxpl.datasets.av_json import AVJsonDataset
from mmxpl.datasets.flickr_soundnet import (
    list_flickr_xml,
    read_flickr_xml,
)
from mmxpl.datasets.transforms import RasterizeTargets
from mmxpl.datasets.vggss import VGGSSDataset
from mmxpl.structures import rasterize_consensus
from mmxpl.utils import DataError


@dataclass(frozen=True)
class TruthFile:
    """Annotations by id; :meth:`draw` makes one ground-truth map.

    Attributes:
        source (str): The file or folder.
        categories (dict[str, str | None]): Class of each annotated clip, by id in
            the order of the ids.
        draw (Callable): Takes an id, gives its map (224, 224) float32 in [0, 1];
            all zero where no box has an area within the frame.
    """

    source: str
    categories: dict[str, str | None]
    draw: Callable[[str], Tensor]


def _from_entries(source: str, entries: dict[str, dict], target: str) -> TruthFile:
    """Ground truth of clips with normalised boxes, or masks."""
    key = {'boxes': 'bboxes', 'mask': 'mask'}[target]
    labeled = {i: e for i, e in entries.items() if e.get(key) is not None}
    if not labeled:
        raise DataError(
            f"{source}: no entry has '{key}', which the ground truth is drawn from. "
            'Choose another --target or the annotations of a labeled set.'
        )
    if target == 'boxes' and looks_like_pixels(
        [box for entry in labeled.values() for box in entry[key]]
    ):
        raise DataError(
            f'{source}: most boxes reach far beyond 1; they seem to be in pixels. '
            'Divide x by the width and y by the height of the frame.'
        )
    drawing = RasterizeTargets(source=target)

    def draw(sample_id: str) -> Tensor:
        entry = dict(labeled[sample_id], is_labeled=True, sample_id=sample_id)
        return drawing.transform(entry)['gt_map']

    categories = {i: labeled[i].get('category') for i in sorted(labeled)}
    return TruthFile(source, categories, draw)


def read_vggss(path: str, target: str = 'boxes') -> TruthFile:
    """VGG-SS: the union of the boxes of ``vggss.json``.

    Args:
        path (str): The file.
        target (str): Only 'boxes'.

    Returns:
        TruthFile: All items, those without a box in the frame as empty maps: the
        public evaluators count them.
    """
    if target != 'boxes':
        raise DataError(f"{path}: VGG-SS has boxes only, so --target '{target}' fails.")
    folder, name = osp.split(osp.abspath(path))
    reader = VGGSSDataset(folder, ann_file=name, labeled=True, lazy_init=True)
    return _from_entries(path, reader.read_annotations(), target)


def read_av_json(path: str, target: str = 'boxes') -> TruthFile:
    """The generic list, see :class:`mmxpl.datasets.AVJsonDataset`.

    Args:
        path (str): The file.
        target (str): Draw the 'boxes' or the 'mask' of each entry.

    Returns:
        TruthFile: The entries that have them.
    """
    folder, name = osp.split(osp.abspath(path))
    reader = AVJsonDataset(folder, ann_file=name, labeled=True, lazy_init=True)
    return _from_entries(path, reader.read_annotations(), target)


def read_flickr(folder: str, target: str = 'boxes') -> TruthFile:
    """Flickr-SoundNet: the consensus of the annotators, a folder of XML files.

    Args:
        folder (str): Holds ``ID.xml``.
        target (str): Only 'boxes'.

    Returns:
        TruthFile: All files; one is read when it is drawn.
    """
    if target != 'boxes':
        raise DataError(
            f"{folder}: Flickr-SoundNet has boxes only, so --target '{target}' fails."
        )
    files = list_flickr_xml(folder)
    return TruthFile(
        folder,
        dict.fromkeys(files),
        lambda sample_id: rasterize_consensus(read_flickr_xml(files[sample_id])),
    )


FORMATS: dict[str, Callable[..., TruthFile]] = {
    'vggss': read_vggss,
    'flickr': read_flickr,
    'json': read_av_json,
}
"""dict[str, Callable]: readers by the name of ``--ann-format``."""
