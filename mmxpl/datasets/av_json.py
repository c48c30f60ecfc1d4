"""Data set of a JSON file in OpenMMLab's format."""

from collections.abc import Iterable, Iterator, Sequence

from mmxpl.registry import DATASETS
from mmxpl.utils import DataError

from .annotations import (
    check_rle,
    parse_boxes,
    parse_entries,
    parse_names,
    plain_boxes,
    plain_names,
)
from .av_dataset import AVDataset
from .frame_times import is_seconds
from .id_list import Clip, check_id
from .json_io import iter_json
from .media import existing_paths, path_inside, plain_paths


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

    def iter_annotations(self) -> Iterator[tuple[str, dict]]:
        """Reads the JSON file and adds its ``metainfo`` to that of the set.

        Yields:
            tuple[str, dict]: Id and checked entry, in the order of the file.
        """
        form = "be an object with 'metainfo' (an object) and 'data_list' (a list)"
        others = {}
        entries = iter_json(self.ann_file, form, 'data_list', others)
        where = f'{self.ann_file}: data_list[', ']'
        yield from parse_entries(entries, self._parse_entry, self._parse_plain, where)
        metainfo = others.get('metainfo')
        if not isinstance(metainfo, dict):
            raise DataError(f'{self.ann_file} must {form}.')
        for key, value in metainfo.items():
            self._metainfo.setdefault(key, value)

    def find_media(
        self, clips: Sequence[Clip], annotations: dict[str, dict]
    ) -> tuple[list[str | None], list[str | None], dict[str, list[str]]]:
        """Finds the files of the entries; see :meth:`AVDataset.find_media`."""
        frames = [annotations.get(clip.frame_id) for clip in clips]
        sounds = [annotations.get(clip.audio_id) for clip in clips]
        complete = [None not in pair for pair in zip(frames, sounds, strict=True)]
        no_entry = [
            c.sample_id for c, has in zip(clips, complete, strict=True) if not has
        ]
        lacking = {f'no entry in {self.ann_file}': no_entry}

        def find(what: str, entries: list[dict | None], field: str) -> list[str | None]:
            given = [entry and entry[field] for entry in entries]
            paths = existing_paths(given, self._listed)
            found = zip(clips, complete, paths, strict=True)
            lacking[f'no {what} where {self.ann_file} has it'] = [
                clip.sample_id for clip, has, path in found if has and path is None
            ]
            return paths

        frames = find('frame', frames, 'img_path')
        sounds = find('sound', sounds, 'audio_path')
        return frames, sounds, lacking

    def frame_times(self, annotations: dict[str, dict]) -> dict[str, float]:
        """Returns ``frame_time`` of the entries; see :meth:`AVDataset.frame_times`."""
        return {
            i: entry['frame_time']
            for i, entry in annotations.items()
            if entry.get('frame_time') is not None
        }

    def _parse_plain(self, entries: list) -> Iterable[tuple[str, dict]] | None:
        """Does what :meth:`_parse_entry` does for many entries."""
        names = plain_names(entries, ('sample_id', 'category'))
        if names is None:
            return None
        img, audio, times, boxes, masks = (
            [entry.get(field) for entry in entries]
            for field in ('img_path', 'audio_path', 'frame_time', 'bboxes', 'mask')
        )
        img = plain_paths(self.data_prefix['img'], img)
        audio = plain_paths(self.data_prefix['audio'], audio)
        boxes = plain_boxes([[] if b is None else b for b in boxes])
        timed = all(is_seconds(time) for time in times if time is not None)
        if None in (img, audio, boxes) or not timed:
            return None
        for mask in (mask for mask in masks if mask is not None):
            check_rle(mask, '')
        for entry, category, img_path, audio_path, box in zip(
            entries, names[1], img, audio, boxes, strict=True
        ):
            if category is not None:
                entry['category'] = category
            entry['img_path'], entry['audio_path'] = img_path, audio_path
            if box:
                entry['bboxes'] = box
        return zip(names[0], entries, strict=True)

    def _parse_entry(self, raw: object) -> tuple[str, dict]:
        """Checks one entry of ``data_list`` and completes its paths, in place."""
        sample_id, category = parse_names(raw, ('sample_id', 'category'))
        check_id(sample_id, ", field 'sample_id'")
        raw['sample_id'] = sample_id
        if category is not None:
            raw['category'] = category
        try:
            time = raw.get('frame_time')
            if time is not None and not is_seconds(time):
                raise DataError(f"'frame_time' must be seconds, got {time!r}.")
            for kind in ('img', 'audio'):
                key, folder = f'{kind}_path', self.data_prefix[kind]
                raw[key] = path_inside(folder, raw.get(key), f"'{key}'")
            if raw.get('bboxes') is not None:
                raw['bboxes'] = parse_boxes(raw['bboxes'], "'bboxes'")
            if raw.get('mask') is not None:
                raw['mask'] = check_rle(raw['mask'], "'mask'")
        except DataError as error:
            raise DataError(f" ('{sample_id}'), field {error}") from None
        return sample_id, raw
