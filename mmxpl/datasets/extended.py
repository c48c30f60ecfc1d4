"""A labelled set together with pairs whose sound has no source in the frame."""

import csv
import os.path as osp
from pathlib import Path

from mmengine.dataset import Compose
from torch.utils.data import Dataset

from mmxpl.evaluation.functional.negative_audio import ORIGINAL
from mmxpl.registry import DATASETS
from mmxpl.utils import DataError

from .av_dataset import AVDataset
from .id_list import clean_id, refuse_duplicates
from .media import list_media
from .missing import handle_missing
from .negative_audio import remove_source
from .vggss import AUDIO_SUFFIXES, FRAME_SUFFIXES

COLUMNS = ['video', 'audio', 'label']
NON_SOUNDING = 'non-sounding'


@DATASETS.register_module()
class ExtendedDataset(Dataset):
    """Extended VGG-SS or Flickr-SoundNet: sounding and non-sounding pairs.

    The clips of the inner set come first, as they are. Then come the pairs of
    SLAVC's lists, ``vggss_test_plus_silent.csv`` and
    ``flickr_test_plus_silent.csv`` (Mo & Morgado, NeurIPS 2022; metadata of
    stoneMo/SLAVC): the frame of one clip with the sound of another or, now and
    then, its own, none of it visible. They have the id
    ``<video>+<audio>@non-sounding``, that ``audio_kind``, an empty ``gt_map`` and
    no box. :class:`mmxpl.evaluation.ExtendedMetric` scores both.

    Args:
        dataset (dict | AVDataset): A labelled set of the layout ``frames/ID.jpg``,
            ``audio/ID.wav``, or its config, whose pipeline ends with
            ``PackAVInputs``. Its folders and its policy on what is missing hold
            for the pairs too.
        pairs (str): csv file with the columns video, audio, label, the label being
            'non-sounding'; relative to the inner set's ``data_root``.
    """

    def __init__(self, dataset: dict | AVDataset, pairs: str) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not self.dataset.labelled:
            raise DataError(
                'ExtendedDataset needs a labelled data set: set labelled=True in the '
                'inner config.'
            )
        self.pairs = osp.join(self.dataset.data_root, pairs)
        self._listed: int | None = None
        self._entries: list[dict] = []

    @property
    def metainfo(self) -> dict:
        """dict: of the inner set, with ``n_expected`` for the pairs too."""
        self.full_init()
        info = dict(self.dataset.metainfo)
        if 'n_expected' in info:
            info['n_expected'] += self._listed
        # the fingerprint is that of the inner set alone
        info.pop('id_list_hash', None)
        return info

    @property
    def pipeline(self) -> Compose:
        """Compose: of the inner set."""
        return self.dataset.pipeline

    @property
    def sample_ids(self) -> list[str]:
        """list[str]: ids of the inner set, then of the pairs."""
        self.full_init()
        return self.dataset.sample_ids + [e['sample_id'] for e in self._entries]

    def full_init(self) -> None:
        """Reads the inner set and the pairs, and looks for the pairs' files.

        Raises:
            DataError: If the list cannot be used, or files are missing and the
                inner set's policy is 'error'.
        """
        if self._listed is not None:
            return
        self.dataset.full_init()
        pairs = read_pairs(self.pairs)
        img_folder, audio_folder = (
            self.dataset.data_prefix[key] for key in ('img', 'audio')
        )
        frames = list_media(img_folder, FRAME_SUFFIXES)
        sounds = list_media(audio_folder, AUDIO_SUFFIXES)
        lacking = {
            f'no frame in {img_folder}': [v for v, _ in pairs if v not in frames],
            f'no sound in {audio_folder}': [a for _, a in pairs if a not in sounds],
        }
        handle_missing(lacking, self.dataset.missing, len(pairs), self.pairs)
        self._entries = [
            dict(
                sample_id=f'{video}+{audio}@{NON_SOUNDING}',
                img_path=osp.join(img_folder, frames[video]),
                audio_path=osp.join(audio_folder, sounds[audio]),
                category=None,
                is_labelled=True,
                bboxes=[],
                mask=None,
            )
            for video, audio in pairs
            if video in frames and audio in sounds
        ]
        self._listed = len(pairs)

    def __len__(self) -> int:
        self.full_init()
        return len(self.dataset) + len(self._entries)

    def get_data_info(self, idx: int) -> dict:
        """What the pipeline starts from.

        Args:
            idx (int): index of the sample.

        Returns:
            dict: The clip's or the pair's entry.
        """
        if not 0 <= idx < len(self):
            raise IndexError(f'index {idx} is out of range for {len(self)} samples')
        if idx < len(self.dataset):
            return self.dataset.get_data_info(idx)
        return dict(self._entries[idx - len(self.dataset)], sample_idx=idx)

    def __getitem__(self, idx: int) -> dict:
        """Loads and packs one sample.

        Args:
            idx (int): index of the sample.

        Returns:
            dict: ``inputs`` and ``data_samples``, see :class:`PackAVInputs`.

        Raises:
            DataError: If a file cannot be used or the pipeline gives nothing.
        """
        info = self.get_data_info(idx)
        if idx < len(self.dataset):
            packed = self.dataset[idx]
            packed['data_samples'].set_metainfo(dict(audio_kind=ORIGINAL))
            return packed
        return remove_source(self.pipeline(info), info['sample_id'], NON_SOUNDING)


def read_pairs(path: str) -> list[tuple[str, str]]:
    """Reads the non-sounding pairs of one of SLAVC's lists.

    Args:
        path (str): csv file with the columns video, audio, label.

    Returns:
        list[tuple[str, str]]: Ids of frame and sound, in the file's order.

    Raises:
        DataError: If it cannot be read or has another form, if a pair stands there
            twice, or if an id would lead out of the data folder.
    """
    try:
        text = Path(path).read_bytes().decode('utf-8-sig')
        rows = [[f.strip() for f in row] for row in csv.reader(text.splitlines())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f'{path}: the list of pairs cannot be read ({error}). Set pairs to a csv '
            'file, absolute or below data_root.'
        ) from error
    if not rows or rows[0] != COLUMNS:
        raise DataError(
            f'{path}: the first row must be {",".join(COLUMNS)}, got '
            f'{",".join(rows[0]) if rows else "nothing"}.'
        )
    pairs = []
    for number, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        if len(row) != 3 or row[2] != NON_SOUNDING:
            raise DataError(
                f'{path}, row {number}: must be an id, an id and {NON_SOUNDING!r}, got '
                f'{row}.'
            )
        where = f'{path}, row {number}'
        pairs.append((clean_id(row[0], where), clean_id(row[1], where)))
    if not pairs:
        raise DataError(f'{path}: the list holds no pair.')
    refuse_duplicates(('+'.join(pair) for pair in pairs), path)
    return pairs
