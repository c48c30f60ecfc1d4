"""Data set in the layout of VGG-SS."""

import os.path as osp
import sys
from collections.abc import Iterable, Iterator, Sequence

from mmxpl.registry import DATASETS

from .annotations import (
    parse_boxes,
    parse_entries,
    parse_names,
    plain_boxes,
    plain_names,
)
from .av_dataset import AVDataset
from .frame_times import FRAME_TIMES, read_frame_times
from .id_list import Clip
from .json_io import iter_json
from .media import list_media

FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')
AUDIO_SUFFIXES = ('.wav', '.flac', '.ogg', '.mp3')


@DATASETS.register_module()
class VGGSSDataset(AVDataset):
    """Frames, sounds and boxes in the layout of VGG-SS.

    .. code-block:: none

        data_root/
            frames/ID.jpg (.jpeg, .png)
            audio/ID.wav (.flac, .ogg, .mp3)
            vggss.json       [{"file": ID, "class": str,
                               "bbox": [[x1, y1, x2, y2], ...]}, ...]
            train.txt        one id a line, any name
            frame_times.csv  time of each frame, from extract_videos.py

    For clips that ``frame_times.csv`` does not name, the frame counts as shown in the
    middle of the sound. Boxes are normalised to [0, 1] of the frame as displayed, after
    EXIF rotation. Without ``id_list``, every clip that has a frame is used, in the
    order of the ids. ``vggss.json`` is read for a labeled set only.

    VGG-SS: Chen et al., Localizing Visual Sounds the Hard Way, CVPR 2021. Twelve of its
    5,158 items have a coordinate of -2.88e16, and two have no box within the frame.

    The arguments are those of :class:`AVDataset`.
    """

    default_ann_file = 'vggss.json'

    def iter_annotations(self) -> Iterator[tuple[str, dict]]:
        """Reads ``category`` and ``bboxes`` by id; nothing for an unlabeled set."""
        if self.labeled:
            form = 'hold a list of {"file", "class", "bbox"}'
            items = iter_json(self.ann_file, form)
            where = f'{self.ann_file}: item ', ''
            yield from parse_entries(items, _parse_item, _parse_plain, where)

    def default_ids(self, annotations: dict[str, dict]) -> list[str]:
        """Lists clips that have a frame, sorted; see :meth:`AVDataset.default_ids`."""
        self._frames = list_media(self.data_prefix['img'], FRAME_SUFFIXES)
        return sorted(self._frames)

    def find_media(
        self, clips: Sequence[Clip], annotations: dict[str, dict]
    ) -> tuple[Iterable[str | None], Iterable[str | None], dict[str, list[str]]]:
        """Finds frame and sound by the id; see :meth:`AVDataset.find_media`."""
        img_folder, audio_folder = self.data_prefix['img'], self.data_prefix['audio']
        # what default_ids() listed, if it was called
        frames = self.__dict__.pop('_frames', None)
        frames = _Paths(
            img_folder,
            [c.frame_id for c in clips],
            list_media(img_folder, FRAME_SUFFIXES) if frames is None else frames,
        )
        sounds = _Paths(
            audio_folder,
            [c.audio_id for c in clips],
            list_media(audio_folder, AUDIO_SUFFIXES),
        )
        lacking = {
            f'no frame in {img_folder}': frames.lacking(clips),
            f'no sound in {audio_folder}': sounds.lacking(clips),
        }
        return frames, sounds, lacking

    def frame_times(self, annotations: dict[str, dict]) -> dict[str, float]:
        """Reads ``frame_times.csv``; see :meth:`AVDataset.frame_times`."""
        times = read_frame_times(osp.join(self.data_root, FRAME_TIMES))
        return {sample_id: time.seconds for sample_id, time in times.items()}


class _Paths:
    """Paths of media files by id, made when needed: of a million they take 100 MB."""

    def __init__(self, folder: str, ids: list[str], names: dict[str, str]) -> None:
        self._prefix, self._ids = osp.join(folder, ''), ids
        # what a name adds to the id, one object for all; or '/' and another name
        self._ends = [
            name and (sys.intern(name[len(i) :]) if name.startswith(i) else f'/{name}')
            for i, name in zip(ids, map(names.get, ids), strict=True)
        ]

    def __iter__(self) -> Iterator[str | None]:
        prefix = self._prefix
        for sample_id, end in zip(self._ids, self._ends, strict=True):
            if end is None:
                yield None
            elif end[0] == '/':
                yield prefix + end[1:]
            else:
                yield prefix + sample_id + end

    def lacking(self, clips: Sequence[Clip]) -> list[str]:
        """Names the clips that have no file."""
        pairs = zip(clips, self._ends, strict=True)
        return [clip.sample_id for clip, end in pairs if end is None]


def _parse_item(item: object) -> tuple[str, dict]:
    """Checks one item of ``vggss.json``."""
    sample_id, category = parse_names(item, ('file', 'class'))
    boxes = parse_boxes(item.get('bbox'), f" ('{sample_id}'), field 'bbox'")
    return sample_id, {'category': category, 'bboxes': boxes}


def _parse_plain(items: list) -> list[tuple[str, dict]] | None:
    """Does what :func:`_parse_item` does for many items."""
    names = plain_names(items, ('file', 'class'))
    boxes = names and plain_boxes([item.get('bbox') for item in items])
    if not boxes:
        return None
    return [
        (i, {'category': category, 'bboxes': found})
        for i, category, found in zip(*names, boxes, strict=True)
    ]
