import logging

import pytest
import torch

from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils import DataError

PARTS = dict(
    visual='localizers.a.visual_backbone',
    audio='localizers.a.audio_encoder.backbone',
    localizer='localizers.b',
)


def cfg_with(part, checkpoint, **init_cfg):
    cfg = tiny_model_cfg()
    node = cfg
    for key in PARTS[part].split('.'):
        node = node[key]
    node['init_cfg'] = dict(type='Pretrained', checkpoint=checkpoint, **init_cfg)
    return cfg


@pytest.mark.parametrize('part', PARTS)
def test_a_file_s_weights_are_in_the_network(tmp_path, part):
    file = str(tmp_path / 'weights.pth')
    torch.manual_seed(1)
    donor = MODELS.build(tiny_model_cfg()).get_submodule(PARTS[part])
    for parameter in donor.parameters():
        torch.nn.init.normal_(parameter)
    torch.save(dict(state_dict=donor.state_dict()), file)

    model = MODELS.build(cfg_with(part, file))
    model.init_weights()
    loaded = model.get_submodule(PARTS[part]).state_dict()
    for name, value in donor.state_dict().items():
        torch.testing.assert_close(loaded[name], value, msg=name)


def test_momentum_encoders_start_as_the_loaded_weights(tmp_path):
    file = str(tmp_path / 'weights.pth')
    donor = MODELS.build(tiny_model_cfg()).get_submodule(PARTS['localizer'])
    torch.save(dict(state_dict=donor.state_dict()), file)

    slavc = dict(loss_contrastive=dict(type='SLAVCLoss'), target_momentum=0.9)
    model = MODELS.build({**cfg_with('localizer', file), **slavc})
    model.init_weights()
    model(**model.data_preprocessor(tiny_batch(), True), mode='loss')
    copied = model.momentum_encoders.module['b'].state_dict()
    for name, value in donor.named_parameters():
        torch.testing.assert_close(copied[name], value.data, msg=name)


@pytest.mark.parametrize('part', PARTS)
def test_a_missing_file_stops_with_its_name_and_the_remedies(part):
    model = MODELS.build(cfg_with(part, 'nowhere/net.pth'))
    with pytest.raises(DataError, match='nowhere/net.pth.*download.*None'):
        model.init_weights()


def test_a_file_of_another_network_is_refused(tmp_path):
    file = str(tmp_path / 'detector.pth')
    state = MODELS.build(tiny_model_cfg()).get_submodule(PARTS['visual']).state_dict()
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in state.items()}), file)

    with pytest.raises(DataError, match='holds no weights for .*visual_backbone'):
        MODELS.build(cfg_with('visual', file)).init_weights()
    # the remedy that the message names
    model = MODELS.build(cfg_with('visual', file, prefix='backbone.'))
    model.init_weights()
    loaded = model.get_submodule(PARTS['visual']).state_dict()
    torch.testing.assert_close(loaded['conv1.weight'], state['conv1.weight'])


def test_mmdet_s_own_initialisation_runs():
    model = MODELS.build(tiny_model_cfg())
    backbone = model.localizers['a'].visual_backbone
    assert backbone.layer1[0].norm2.weight.abs().sum() > 0
    model.init_weights()
    # zero_init_residual of mmdet.ResNet
    assert backbone.layer1[0].norm2.weight.abs().sum() == 0


def test_no_parameter_is_listed_on_the_console(capfd):
    model = MODELS.build(tiny_model_cfg())
    handler = logging.StreamHandler()
    logging.getLogger('mmengine').addHandler(handler)
    model.init_weights()
    logging.getLogger('mmengine').removeHandler(handler)
    out = ''.join(capfd.readouterr())
    assert 'conv1.weight' not in out
    assert len(out.splitlines()) < 10
