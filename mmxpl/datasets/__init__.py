"""Data sets of frames with sound, their pipelines and samplers."""

from .av_dataset import AVDataset
from .av_json import AVJsonDataset
from .collate import av_collate
from .concat_dataset import ConcatDataset
from .duet import DuetDataset
from .flickr_soundnet import FlickrSoundNetDataset
from .id_list import read_clip_list, read_id_list
from .leaks import check_disjoint, collect_config_ids, collect_ids
from .negative_audio import NegativeAudioDataset
from .samplers import CurriculumSampler
from .split_dataset import SplitDataset
from .splits import select_subset
from .transforms import (
    LoadAudio,
    LoadFeatures,
    LoadFrame,
    PackAVInputs,
    RasterizeTargets,
)
from .vggss import VGGSSDataset

__all__ = [
    'AVDataset',
    'AVJsonDataset',
    'ConcatDataset',
    'CurriculumSampler',
    'DuetDataset',
    'FlickrSoundNetDataset',
    'LoadAudio',
    'LoadFeatures',
    'LoadFrame',
    'NegativeAudioDataset',
    'PackAVInputs',
    'RasterizeTargets',
    'SplitDataset',
    'VGGSSDataset',
    'av_collate',
    'check_disjoint',
    'collect_config_ids',
    'collect_ids',
    'read_clip_list',
    'read_id_list',
    'select_subset',
]
