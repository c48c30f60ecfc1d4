"""Data set of a JSON file in OpenMMLab's format."""

from collections.abc import Sequence

from mmxpl.registry import DATASETS
from mmxpl.utils import DataError

from .annotations import check_rle, parse_boxes, parse_names, read_json
from .av_dataset import AVDataset
from .frame_times import is_seconds
from .id_list import Clip, check_id, refuse_duplicates
from .media import existing_paths, path_inside


@DATASETS.register_module()
class AVJsonDataset(AVDataset):
    """Own clips, or those of the synthetic world, listed in a JSON file.

    .. code-block:: none

        {
            "metainfo": {"classes": ["bell", "drum"]},
            "data_list": [
                {
                    "sample_id": "a",
                    "img_path": "frames/a.jpg",
                    "audio_path": "audio/a.wav",
                    "frame_time": 5.0,
                    "category": "bell",
                    "bboxes": [[0.1, 0.2, 0.5, 0.9]],
                    "mask": {"size": [480, 640], "counts": "..."}
                }
            ]
        }

    ``frame_time``, ``category``, ``bboxes`` and ``mask`` may be absent or null.
    ``frame_time`` is the time of the frame in seconds from the first sample of the
    sound, by default the middle of the sound. Boxes and the mask (a COCO run-length
    encoding of any size with the aspect ratio of the frame) cover the *sounding*
    objects; boxes are normalised to [0, 1] of the frame as displayed. Paths are
    relative to ``data_prefix`` and must not leave it. Other keys are kept in a labeled
    set.

    The arguments are those of :class:`AVDataset`; ``ann_file`` defaults to
    ``annotations.json`` and ``data_prefix`` to ``data_root`` itself.
    """

    default_ann_file = 'annotations.json'
    default_prefix = {'img': '', 'audio': ''}

    def read_annotations(self) -> dict[str, dict]:
        """Reads the JSON file and adds its ``metainfo`` to that of the set.

        Returns:
            dict[str, dict]: The checked entries by id, in the order of the file.
        """
        content = read_json(self.ann_file)
        if not isinstance(content, dict):
            content = {}
        metainfo, data_list = content.get('metainfo'), content.get('data_list')
        if not isinstance(metainfo, dict) or not isinstance(data_list, list):
            raise DataError(
                f"{self.ann_file} must be an object with 'metainfo' (an object) and "
                "'data_list' (a list)."
            )
        for key, value in metainfo.items():
            self._metainfo.setdefault(key, value)
        for number, raw in enumerate(data_list):
            self._parse_entry(raw, number)
        entries = {entry['sample_id']: entry for entry in data_list}
        if len(entries) < len(data_list):
            refuse_duplicates((e['sample_id'] for e in data_list), self.ann_file)
        return entries

    def default_ids(self, annotations: dict[str, dict]) -> list[str]:
        """Lists all clips of the file; see :meth:`AVDataset.default_ids`."""
        return list(annotations)

    def find_media(
        self, clips: Sequence[Clip], annotations: dict[str, dict]
    ) -> tuple[dict[str, tuple[str, str]], dict[str, list[str]]]:
        """Finds the files of the entries; see :meth:`AVDataset.find_media`."""
        paths = {
            c.sample_id: (
                annotations[c.frame_id]['img_path'],
                annotations[c.audio_id]['audio_path'],
            )
            for c in clips
            if c.frame_id in annotations and c.audio_id in annotations
        }
        existing = existing_paths(path for pair in paths.values() for path in pair)
        media = {
            i: (existing[img], existing[audio])
            for i, (img, audio) in paths.items()
            if img in existing and audio in existing
        }
        no_entry = [c.sample_id for c in clips if c.sample_id not in paths]
        no_frame = [i for i, (img, _) in paths.items() if img not in existing]
        no_sound = [i for i, (_, audio) in paths.items() if audio not in existing]
        return media, {
            f'no entry in {self.ann_file}': no_entry,
            f'no frame where {self.ann_file} has it': no_frame,
            f'no sound where {self.ann_file} has it': no_sound,
        }

    def frame_times(self, annotations: dict[str, dict]) -> dict[str, float]:
        """Returns ``frame_time`` of the entries; see :meth:`AVDataset.frame_times`."""
        return {
            i: entry['frame_time']
            for i, entry in annotations.items()
            if entry.get('frame_time') is not None
        }

    def _parse_entry(self, raw: object, number: int) -> None:
        """Checks one entry of ``data_list`` and completes its paths, in place."""
        where = f'{self.ann_file}: data_list[{number}]'
        sample_id, _ = parse_names(raw, where, ('sample_id', 'category'))
        check_id(sample_id, f"{where}, field 'sample_id'")
        where = f"{where} ('{sample_id}')"
        raw['sample_id'], time = sample_id, raw.get('frame_time')
        if time is not None and not is_seconds(time):
            raise DataError(
                f"{where}, field 'frame_time' must be seconds, got {time!r}."
            )
        for field, prefix in (('img_path', 'img'), ('audio_path', 'audio')):
            raw[field] = path_inside(
                self.data_prefix[prefix], raw.get(field), f"{where}, field '{field}'"
            )
        if raw.get('bboxes') is not None:
            raw['bboxes'] = parse_boxes(raw['bboxes'], f"{where}, field 'bboxes'")
        if raw.get('mask') is not None:
            raw['mask'] = check_rle(raw['mask'], f"{where}, field 'mask'")
