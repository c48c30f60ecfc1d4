"""Data set in the layout of VGG-SS."""

import os.path as osp
from collections.abc import Sequence

from mmxpl.registry import DATASETS
from mmxpl.utils import DataError

from .annotations import parse_boxes, parse_names, read_json
from .av_dataset import AVDataset
from .frame_times import FRAME_TIMES, read_frame_times
from .id_list import Clip, refuse_duplicates
from .media import list_media

FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')
AUDIO_SUFFIXES = ('.wav', '.flac', '.ogg', '.mp3')


@DATASETS.register_module()
class VGGSSDataset(AVDataset):
    """Frames, sounds and boxes in the layout of VGG-SS.

    .. code-block:: none

        data_root/
            frames/ID.jpg (.jpeg, .png) audio/ID.wav (.flac, .ogg, .mp3) vggss.json
            [{"file": ID, "class": str, "bbox": [[x1, y1, x2, y2], ...]}, ...] train.txt
            one id a line, any name frame_times.csv time of each frame, from
            extract_videos.py

    For clips that ``frame_times.csv`` does not name, the frame counts as shown in the
    middle of the sound. Boxes are normalised to [0, 1] of the frame as displayed, after
    EXIF rotation. Without ``id_list``, every clip that has a frame is used, in the
    order of the ids. ``vggss.json`` is read for a labeled set only.

    VGG-SS: Chen et al., Localizing Visual Sounds the Hard Way, CVPR 2021. Twelve of its
    5,158 items have a coordinate of -2.88e16, and two have no box within the frame.

    The arguments are those of :class:`AVDataset`.
    """

    default_ann_file = 'vggss.json'

    def read_annotations(self) -> dict[str, dict]:
        """Reads ``category`` and ``bboxes`` by id; nothing for an unlabeled set."""
        if not self.labeled:
            return {}
        items = read_json(self.ann_file)
        if not isinstance(items, list):
            raise DataError(
                f'{self.ann_file} must hold a list of {{"file", "class", "bbox"}}, got '
                f'{type(items).__name__}.'
            )
        parsed = [self._parse_item(item, number) for number, item in enumerate(items)]
        refuse_duplicates((sample_id for sample_id, _ in parsed), self.ann_file)
        return dict(parsed)

    def default_ids(self, annotations: dict[str, dict]) -> list[str]:
        """Lists clips that have a frame, sorted; see :meth:`AVDataset.default_ids`."""
        return sorted(list_media(self.data_prefix['img'], FRAME_SUFFIXES))

    def find_media(
        self, clips: Sequence[Clip], annotations: dict[str, dict]
    ) -> tuple[dict[str, tuple[str, str]], dict[str, list[str]]]:
        """Finds frame and sound by the id; see :meth:`AVDataset.find_media`."""
        img_folder, audio_folder = self.data_prefix['img'], self.data_prefix['audio']
        frames = list_media(img_folder, FRAME_SUFFIXES)
        sounds = list_media(audio_folder, AUDIO_SUFFIXES)
        media = {
            c.sample_id: (
                osp.join(img_folder, frames[c.frame_id]),
                osp.join(audio_folder, sounds[c.audio_id]),
            )
            for c in clips
            if c.frame_id in frames and c.audio_id in sounds
        }
        no_frame = [c.sample_id for c in clips if c.frame_id not in frames]
        no_sound = [c.sample_id for c in clips if c.audio_id not in sounds]
        return media, {
            f'no frame in {img_folder}': no_frame,
            f'no sound in {audio_folder}': no_sound,
        }

    def frame_times(self, annotations: dict[str, dict]) -> dict[str, float]:
        """Reads ``frame_times.csv``; see :meth:`AVDataset.frame_times`."""
        times = read_frame_times(osp.join(self.data_root, FRAME_TIMES))
        return {sample_id: time.seconds for sample_id, time in times.items()}

    def _parse_item(self, item: object, number: int) -> tuple[str, dict]:
        """Checks one item of ``vggss.json``."""
        where = f'{self.ann_file}: item {number}'
        sample_id, category = parse_names(item, where, ('file', 'class'))
        boxes = parse_boxes(item.get('bbox'), f"{where} ('{sample_id}'), field 'bbox'")
        return sample_id, {'category': category, 'bboxes': boxes}
