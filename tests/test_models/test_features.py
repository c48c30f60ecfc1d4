import pytest
import torch

from mmxpl.models.features import encoder_of, weights_digest
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils import DataError


def test_the_digest_is_of_names_weights_and_buffers():
    torch.manual_seed(0)
    net = torch.nn.BatchNorm1d(3)
    first = weights_digest(net)
    same = torch.nn.BatchNorm1d(3)
    assert weights_digest(same) == first
    assert len(first) == 12
    same.running_mean[1] = 0.5
    assert weights_digest(same) != first
    assert weights_digest(torch.nn.Sequential(net)) != first  # other names


def test_features_of_an_encoder_that_is_trained_are_not_cached():
    cfg = tiny_model_cfg()
    with pytest.raises(DataError, match=r'localizers\.a\.audio_encoder is trained'):
        encoder_of(MODELS.build(cfg), 'a', 'sound')
    cfg['localizers']['a']['frozen'] = True
    learner = MODELS.build(cfg)
    found = encoder_of(learner, 'a', 'visual')
    assert found is learner.localizers['a'].visual_backbone
