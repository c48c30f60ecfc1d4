import pytest
import torch

from mmxpl.datasets import av_collate
from mmxpl.registry import FUNCTIONS
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError


def _sample(n, height=4, length=7):
    return {
        'inputs': {
            'img': torch.full((3, height, 5), n, dtype=torch.uint8),
            'audio': torch.full((length,), n / 10),
        },
        'data_samples': AVDataSample(metainfo={'sample_id': f's{n}'}),
    }


def test_stacks_tensors_and_lists_samples():
    batch = av_collate([_sample(n) for n in range(3)])
    assert batch['inputs']['img'].shape == (3, 3, 4, 5)
    assert batch['inputs']['img'].dtype == torch.uint8
    assert batch['inputs']['audio'].shape == (3, 7)
    assert batch['inputs']['audio'].dtype == torch.float32
    assert batch['inputs']['img'][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert [s.sample_id for s in batch['data_samples']] == ['s0', 's1', 's2']
    assert isinstance(batch['data_samples'], list)


@pytest.mark.parametrize('change', [{'height': 6}, {'length': 8}])
def test_other_shapes_name_the_sample(change):
    with pytest.raises(DataError, match=r"of 's1' has shape"):
        av_collate([_sample(0), _sample(1, **change)])


def test_is_registered():
    assert FUNCTIONS.get('av_collate') is av_collate
