import pickle

import pytest
import torch
from mmengine.structures import InstanceData, PixelData

from mmxpl.structures import AVDataSample

VALUES = {
    'gt_instances': InstanceData(bboxes=torch.rand(2, 4)),
    'gt_map': torch.rand(8, 8),
    'pseudo_label': torch.rand(2, 3, 3),
    'pred_map': PixelData(a=torch.rand(1, 3, 3)),
}


@pytest.mark.parametrize('name', VALUES)
def test_a_field_has_one_type_and_can_be_taken_away(name):
    sample = AVDataSample(metainfo=dict(sample_id='x'))
    assert name not in sample
    for other in [
        3,
        *(v for v in VALUES.values() if type(v) is not type(VALUES[name])),
    ]:
        with pytest.raises(AssertionError, match='should be a'):
            setattr(sample, name, other)
    setattr(sample, name, VALUES[name])
    assert name in sample
    assert getattr(sample, name) is sample.get(name) is VALUES[name]
    delattr(sample, name)
    assert name not in sample
    with pytest.raises(AttributeError):
        getattr(sample, name)


def test_fields_go_where_the_sample_goes():
    sample = AVDataSample(metainfo=dict(sample_id='x', is_labeled=True))
    for name, value in VALUES.items():
        setattr(sample, name, value)
    for twin in (pickle.loads(pickle.dumps(sample)), sample.clone(), sample.to('cpu')):
        assert twin.metainfo == sample.metainfo
        assert torch.equal(twin.gt_map, sample.gt_map)
        assert torch.equal(twin.pseudo_label, sample.pseudo_label)
        assert torch.equal(twin.gt_instances.bboxes, sample.gt_instances.bboxes)
        assert torch.equal(twin.pred_map.a, sample.pred_map.a)
    assert sample.to(torch.float16).gt_map.dtype == torch.float16
    content = sample.to_dict()
    assert set(VALUES) <= set(content)
    assert torch.equal(content['pred_map']['a'], sample.pred_map.a)
