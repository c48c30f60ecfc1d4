import pytest
import torch

from mmxpl.registry import MODELS
from mmxpl.structures import rasterize_boxes
from mmxpl.testing import tiny_batch, tiny_model_cfg


def test_labeled_clips_come_first_and_their_maps_are_their_boxes():
    samples = tiny_batch(labeled=2, unlabeled=1)['data_samples']
    assert [s.is_labeled for s in samples] == [True, True, False]
    assert [s.sample_idx for s in samples] == [0, 1, 0]
    for sample in samples[:2]:
        drawn = torch.as_tensor(rasterize_boxes(sample.gt_instances.bboxes, 224))
        # single precision moves an edge by a pixel
        assert (drawn != sample.gt_map).float().mean() < 0.005
        assert sample.gt_map.sum() == 100 * 120
    assert 'gt_map' not in samples[2]


def test_the_seed_chooses_the_noise():
    one, same, other = (tiny_batch(seed=n)['inputs'] for n in (1, 1, 2))
    for key in ('img', 'audio'):
        assert torch.equal(one[key], same[key])
        assert not torch.equal(one[key], other[key])


@pytest.mark.parametrize(('norm', 'depends'), [('BN', True), ('GN', False)])
def test_without_batch_norm_a_clip_s_map_is_that_of_the_clip_alone(norm, depends):
    torch.manual_seed(0)
    model = MODELS.build(tiny_model_cfg(norm)).train()
    inputs = model.data_preprocessor(tiny_batch(), training=False)['inputs']
    together = model.predict_maps(inputs)['a'][:2]
    assert together.shape == (2, 6, 6)
    alone = model.predict_maps({key: x[:2] for key, x in inputs.items()})['a']
    assert torch.allclose(together, alone, atol=1e-4) is not depends
