"""Base class of data sets of frames with sound."""

import gc
import os.path as osp
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmxpl.registry import TRANSFORMS
from mmxpl.utils import DataError, hash_ids
from mmxpl.utils.checks import check_fraction

from .annotations import FrameClipper, collect, has_label, pack_boxes, unpack_boxes
from .clip_pairing import swap_sounds
from .entries import PackedEntries, batched, drain
from .id_list import (
    POLICIES,
    Clip,
    handle_missing,
    name_list,
    plain_clips,
    read_clip_list,
    refuse_duplicates,
)
from .splits import check_subset, select_subset

# what an unlabeled set keeps of an annotation
_FACTS = ('category', 'img_path', 'audio_path', 'frame_time')


class AVDataset(BaseDataset):
    """Pairs of one video frame and its sound, with or without boxes.

    A subclass reads annotations and finds the media files. This class selects the ids,
    refuses incomplete clips, clips boxes to the frame and makes the entries that the
    pipeline starts from: ``sample_id``, ``img_path``, ``audio_path``, ``frame_time``
    (time of the frame in seconds from the first sample of the sound, or None),
    ``category`` (or None), ``is_labeled``, and for a labeled set ``bboxes`` (normalised
    x1 y1 x2 y2, or None), ``mask`` (COCO RLE, or None), ``is_sounding`` and the other
    keys of the annotation. An unlabeled set carries neither boxes nor masks, so that
    nothing can learn from them by mistake.

    A pair of a list (:func:`read_clip_list`) that does not sound has
    ``is_sounding=False`` and no boxes; its ground truth is an empty map.

    Labeled clips whose boxes have no area within the frame cannot be evaluated; they
    are left out, counted and named in the log. Lists, annotations and files that cannot
    be used are a DataError.

    With ``test_mode=True`` the meta information holds the number of clips asked for
    (``n_expected``), the hash of their ids (``id_list_hash``) and the name of the
    published test list (``id_list_name``; None for a part of one, whose scores do not
    compare with published ones). The log reports them, too.

    Args:
        data_root (str): Folder that the other paths are relative to.
        ann_file (str, optional): Annotation file; by default that of the layout.
        data_prefix (dict, optional): Folders of frames (``img``) and sounds
            (``audio``); by default those of the layout.
        id_list (str | Sequence[str], optional): Text or csv file with one id a line,
            or several such files, whose ids must all differ; by default all clips of
            the layout.
        labeled (bool): Whether to carry boxes and masks.
        subset (str): 'all', or the 'labeled' or 'unlabeled' part of the ids as
            :func:`select_subset` divides them.
        fraction (float, optional): Share of labeled ids, for ``subset``.
        split_seed (int): Seed of that division.
        missing (str): 'error' refuses ids that lack a file or, in a labeled set, an
            annotation; 'skip' leaves them out for the whole run and names them in the
            log.
        audio_swap (float): Share of the clips that get the sound of another clip, in
            [0, 1]: it makes unlabeled clips as noisy as video in the wild, and 1 shows
            what the sound is worth on a test set.
        audio_swap_seed (int): Chooses the clips and their sounds.
        metainfo (dict, optional): Meta information of the set.
        indices (int | Sequence[int], optional): Entries to use, by default all.
        serialize_data (bool): Whether to keep the entries as one array that workers
            share.
        pipeline (Sequence): Transforms.
        test_mode (bool): Whether the set is for evaluation.
        lazy_init (bool): Whether to read lists and annotations at the first use only.
    """

    _listed: dict | None = None
    default_ann_file = ''
    default_prefix = {'img': 'frames', 'audio': 'audio'}

    def __init__(
        self,
        data_root: str = '',
        ann_file: str | None = None,
        data_prefix: dict | None = None,
        id_list: str | Sequence[str] | None = None,
        labeled: bool = False,
        subset: str = 'all',
        fraction: float | None = None,
        split_seed: int = 0,
        missing: str = 'error',
        audio_swap: float = 0.0,
        audio_swap_seed: int = 0,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
    ) -> None:
        check_subset(subset, fraction)
        if missing not in POLICIES:
            raise ValueError(f"missing must be one of {POLICIES}, got '{missing}'.")
        check_fraction(audio_swap=audio_swap)
        unknown = set(data_prefix or ()) - set(self.default_prefix)
        if unknown:
            raise ValueError(
                f'data_prefix has the keys {sorted(self.default_prefix)}, got '
                f'{sorted(unknown)}.'
            )
        lists = () if id_list is None else id_list
        lists = [lists] if isinstance(lists, str) else lists
        listed = isinstance(lists, Sequence)
        if not listed or not all(isinstance(path, str) and path for path in lists):
            raise DataError(
                f'id_list must name a file, several, or be None, got {id_list!r}.'
            )
        self.id_lists = [osp.join(data_root, path) for path in lists]
        self.labeled = labeled
        self.subset = subset
        self.fraction = fraction
        self.split_seed = split_seed
        self.missing = missing
        self.audio_swap, self.audio_swap_seed = audio_swap, audio_swap_seed
        super().__init__(
            ann_file=self.default_ann_file if ann_file is None else ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix={**self.default_prefix, **(data_prefix or {})},
            indices=indices,
            serialize_data=serialize_data,
            # by the registry of mmxpl, whatever the default scope is
            pipeline=[
                TRANSFORMS.build(t) if isinstance(t, dict) else t for t in pipeline
            ],
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    @abstractmethod
    def iter_annotations(self) -> Iterator[tuple[str, dict]]:
        """Reads the annotations of the clips one by one.

        Yields:
            tuple[str, dict]: Id and annotation: ``category``, ``bboxes`` (floats,
            possibly outside the frame) and ``mask``, each optional, and more keys. Of
            these an unlabeled set keeps ``img_path``, ``audio_path``, ``frame_time``.
        """

    def read_annotations(self) -> dict[str, dict]:
        """Reads the annotations of all clips, by id, and refuses repeated ids."""
        return collect(self.iter_annotations(), self.ann_file)

    def default_ids(self, annotations: dict[str, dict]) -> list[str]:
        """Lists the clips that are used without an id list.

        By default these are all that are annotated, in their order, and they are read
        in parts; ``self._listed`` then keeps what folders hold for :meth:`find_media`.
        """
        return list(annotations)

    @abstractmethod
    def find_media(
        self, clips: Sequence[Clip], annotations: dict[str, dict]
    ) -> tuple[Iterable[str | None], Iterable[str | None], dict[str, list[str]]]:
        """Finds frame and sound of clips.

        Returns:
            tuple[Iterable, Iterable, dict]: Paths of the frames and of the sounds, None
            where there is none, and ids by what they lack ('no frame in ...').
        """

    def frame_times(self, annotations: dict[str, dict]) -> Mapping[str, float]:
        """Returns the times of the frames, as far as they are known.

        They are seconds from the first sample of the sound, by id of its clip.
        """
        return {}

    @property
    def source(self) -> str:
        """str: list or folder that names the clips."""
        lists = ' + '.join(self.id_lists)
        return lists or self.ann_file or self.data_prefix['img']

    @property
    def sample_ids(self) -> list[str]:
        """list[str]: id of every clip, in the order of the indices."""
        self.full_init()
        entries = self.data_address if self.serialize_data else self.data_list
        # the container of the entries is replaced when a subset is taken
        if getattr(self, '_ids_of', None) is not entries:
            self._ids_of = entries
            self._ids = [self.get_data_info(n)['sample_id'] for n in range(len(self))]
        return self._ids

    def list_ids(self) -> list[str]:
        """Lists the clips asked for, without checking whether they are complete.

        Reads lists and, without a list, annotations or the folder of frames, but no
        media file. Names both clips of a pair that does not sound.
        """
        clips = self._select_clips({} if self.id_lists else self.read_annotations())
        return list(dict.fromkeys(i for c in clips for i in (c.frame_id, c.audio_id)))

    def full_init(self) -> None:
        """Reads lists and annotations."""
        # the collector would go through all clips again and again
        enabled = gc.isenabled()
        gc.disable()
        try:
            super().full_init()
        finally:
            if enabled:
                gc.enable()

    def load_data_list(self) -> list[dict] | PackedEntries:
        """Makes the entries of all complete clips."""
        packs = self.serialize_data and not self.audio_swap and self._indices is None
        entries = PackedEntries() if packs else []
        clipper, lacking, ids = FrameClipper(), {}, []
        for names, rows, times in self._parts(lacking):
            ids += names
            entries.extend(self._complete(rows, times, clipper, lacking))
        refuse_duplicates(ids, self.source)
        if self.test_mode:
            self._describe_list(ids)
        count = len(ids)
        handle_missing(lacking, self.missing, count, self.source)
        clipper.report(self.ann_file)
        if self.audio_swap:
            swapped = swap_sounds(entries, self.audio_swap, self.audio_swap_seed)
            print_log(
                f'{self.source}: {swapped} of {len(entries)} clips are given the sound '
                'of another clip.',
                logger='current',
            )
        # with these settings an empty set is asked for
        if not entries and not (self.subset == 'unlabeled' and self.fraction == 1):
            raise DataError(
                f'{self.source}: none of {count} clips is left for the '
                f'{"labeled" if self.labeled else "unlabeled"} set (subset='
                f"'{self.subset}'). The log names what was left out; check id_list, "
                'ann_file and data_root.'
            )
        return entries

    def _parts(self, lacking: dict[str, list[str]]) -> Iterator[tuple]:
        """Finds clips, their media, annotations and times of frames, part by part.

        ``lacking`` receives ids by what they lack.

        Yields:
            tuple[Sequence[str], list[tuple], Mapping]: Ids; of the complete ones clip,
            path of the frame, path of the sound and annotation; times by id.
        """

        def complete(missing: dict[str, list[str]], *columns: Iterable) -> list[tuple]:
            rows = list(zip(*columns, strict=True))
            if left_out := set().union(*missing.values()):
                rows = [row for row in rows if row[0].sample_id not in left_out]
            return rows

        annotated = type(self).default_ids is AVDataset.default_ids
        if annotated and not self.id_lists and self.subset == 'all':
            self._listed = {}
            for part in batched(self.iter_annotations()):
                ids, found = zip(*part, strict=True)
                found = self._keep(found)
                annotations = dict(zip(ids, found, strict=True))
                clips = plain_clips(ids)
                frames, sounds, missing = self.find_media(clips, annotations)
                for reason, names in missing.items():
                    lacking.setdefault(reason, []).extend(names)
                rows = complete(missing, clips, frames, sounds, found)
                yield ids, rows, self.frame_times(annotations)
            self._listed = None
            return

        def compact(found: Sequence[dict]) -> Sequence[dict]:
            found = self._keep(found)
            pack_boxes(found)
            return found

        annotations = collect(self.iter_annotations(), self.ann_file, compact)
        clips = self._select_clips(annotations)
        frames, sounds, missing = self.find_media(clips, annotations)
        lacking.update(missing)
        times = self.frame_times(annotations)
        # what is taken out is freed: of millions it is a gigabyte
        for part in batched(
            zip(drain(clips), drain(frames), drain(sounds), strict=True)
        ):
            ids = [clip.sample_id for clip, _, _ in part]
            found = [annotations.pop(i, None) or {} for i in ids]
            unpack_boxes(found)
            yield ids, complete(missing, *zip(*part, strict=True), found), times

    def _keep(self, annotations: Sequence[dict]) -> Sequence[dict]:
        """Leaves out of annotations what an unlabeled set must not know."""
        if self.labeled:
            return annotations
        return [{k: a[k] for k in _FACTS if k in a} for a in annotations]

    def _complete(
        self,
        rows: Sequence[tuple[Clip, str, str, dict]],
        times: Mapping[str, float],
        clipper: FrameClipper,
        lacking: dict[str, list[str]],
    ) -> Iterator[dict]:
        """Makes the entries of clips that have their media, see :meth:`_parts`."""
        if self.labeled:
            sounding = [(c.sample_id, a) for c, _, _, a in rows if c.is_sounding]
            without = [i for i, a in sounding if not has_label(a)]
            reason = f'neither box nor mask in {self.ann_file}'
            lacking.setdefault(reason, []).extend(without)
            clipper.clip(sounding)
        labeled = self.labeled
        for (sample_id, _, audio_id, sounds), img_path, audio_path, entry in rows:
            boxes = mask = None
            if labeled:
                boxes, mask = entry.get('bboxes'), entry.get('mask')
                if not sounds:
                    boxes, mask = [], None  # the ground truth of such a pair
                elif not boxes:
                    if mask is None:
                        continue
                    boxes = None
            entry['sample_id'] = sample_id
            entry['img_path'], entry['audio_path'] = img_path, audio_path
            entry['frame_time'] = times.get(audio_id)
            entry.setdefault('category')
            entry['is_labeled'] = labeled
            entry['is_sounding'] = sounds if labeled else None
            entry['bboxes'], entry['mask'] = boxes, mask
            yield entry

    def prepare_data(self, idx: int) -> dict:
        """Runs the pipeline on the clip of an index.

        A result of None is a DataError. The base class would take another clip instead,
        which would falsify labels and scores.
        """
        data = super().prepare_data(idx)
        if data is None:
            sample_id = self.get_data_info(idx)['sample_id']
            raise DataError(
                f"{self.source}: the pipeline returned nothing for '{sample_id}'. Each "
                'transform must return its results or raise.'
            )
        return data

    def _select_clips(self, annotations: dict[str, dict]) -> list[Clip]:
        """Applies lists and subset."""
        if self.id_lists:
            clips = [clip for path in self.id_lists for clip in read_clip_list(path)]
            refuse_duplicates((clip.sample_id for clip in clips), self.source)
        else:
            clips = plain_clips(self.default_ids(annotations))
        if self.subset == 'all':
            return clips
        by_id = {clip.sample_id: clip for clip in clips}
        ids = select_subset(list(by_id), self.subset, self.fraction, self.split_seed)
        return [by_id[i] for i in ids]

    def _describe_list(self, ids: Sequence[str]) -> None:
        """Adds the identity of the test list to meta information and log."""
        facts = dict(
            n_expected=len(ids), id_list_hash=hash_ids(ids), id_list_name=name_list(ids)
        )
        self._metainfo.update(facts)
        print_log(
            f'{self.source}: {len(ids)} clips, id hash {facts["id_list_hash"]}: '
            f'{facts["id_list_name"] or "no published test list, or a part of one"}.',
            logger='current',
        )

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        """Serializes the entries, unless they are already."""
        entries, self.data_list = self.data_list, []
        if not isinstance(entries, PackedEntries):
            packed = PackedEntries()
            packed.extend(drain(entries))
            entries = packed
        return entries.arrays()
