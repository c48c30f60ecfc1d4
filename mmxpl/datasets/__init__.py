"""Data sets of frames with sound, their pipelines and samplers."""

from .av_dataset import AVDataset
from .av_json import AVJsonDataset
from .clip_pairing import DuetDataset, NegativeAudioDataset
from .dataset_wrappers import ConcatDataset, SplitDataset, collect_ids
from .flickr_soundnet import FlickrSoundNetDataset
from .id_list import read_clip_list, read_id_list
from .samplers import CurriculumSampler
from .splits import check_disjoint, select_subset
from .transforms import (
    LoadAudio,
    LoadFeatures,
    LoadFrame,
    PackAVInputs,
    RasterizeTargets,
    av_collate,
)
from .vggss import VGGSSDataset
