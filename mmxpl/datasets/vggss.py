"""Data set in the layout of VGG-SS."""

import os.path as osp
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
from .media import list_media, media_paths

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
        if not self.labeled:
            return iter(())
        items = iter_json(self.ann_file, 'hold a list of {"file", "class", "bbox"}')
        where = f'{self.ann_file}: item ', ''
        return parse_entries(items, _parse_item, _parse_plain, where)

    def default_ids(self, annotations: dict[str, dict]) -> list[str]:
        """Lists clips that have a frame, sorted; see :meth:`AVDataset.default_ids`."""
        self._frames = list_media(self.data_prefix['img'], FRAME_SUFFIXES)
        return sorted(self._frames)

    def find_media(
        self, clips: Sequence[Clip], annotations: dict[str, dict]
    ) -> tuple[Iterable[str | None], Iterable[str | None], dict[str, list[str]]]:
        """Finds frame and sound by the id; see :meth:`AVDataset.find_media`."""
        lacking = {}

        def find(what: str, kind: str, suffixes: Sequence[str], ids: list) -> Iterator:
            folder = self.data_prefix[kind]
            # what default_ids() listed, if it was called
            listed = self.__dict__.pop('_frames', None) if kind == 'img' else None
            listed = list_media(folder, suffixes) if listed is None else listed
            ends = list(map(listed.get, ids))
            pairs = zip(clips, ends, strict=True) if None in ends else ()
            none = [clip.sample_id for clip, end in pairs if end is None]
            lacking[f'no {what} in {folder}'] = none
            return media_paths(folder, ids, ends)

        frames = find('frame', 'img', FRAME_SUFFIXES, [c.frame_id for c in clips])
        sounds = find('sound', 'audio', AUDIO_SUFFIXES, [c.audio_id for c in clips])
        return frames, sounds, lacking

    def frame_times(self, annotations: dict[str, dict]) -> dict[str, float]:
        """Reads ``frame_times.csv``; see :meth:`AVDataset.frame_times`."""
        times = read_frame_times(osp.join(self.data_root, FRAME_TIMES))
        return {sample_id: time.seconds for sample_id, time in times.items()}


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
