import pytest
from mmengine.optim import build_optim_wrapper

import mmxpl.engine  # noqa: F401
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg


def frozen_learner():
    cfg = tiny_model_cfg()
    cfg['localizers']['a']['frozen'] = True
    cfg['localizers']['b']['frozen'] = ['visual_backbone.layer1']
    return MODELS.build(cfg)


@pytest.mark.parametrize(
    'paramwise_cfg', [None, dict(custom_keys={'audio_encoder': dict(lr_mult=0.1)})]
)
def test_what_is_frozen_is_in_no_optimizer(paramwise_cfg):
    model = frozen_learner()
    cfg = dict(
        optimizer=dict(type='AdamW', lr=1.0),
        constructor='mmxpl.TrainableOptimWrapperConstructor',
        paramwise_cfg=paramwise_cfg,
    )
    groups = build_optim_wrapper(model, cfg).optimizer.param_groups
    names = {p: name for name, p in model.named_parameters()}
    rates = {names[p]: group['lr'] for group in groups for p in group['params']}
    assert set(rates) == {n for n, p in model.named_parameters() if p.requires_grad}
    assert not any(n.startswith('localizers.a.visual_backbone') for n in rates)
    assert not any('b.visual_backbone.layer1' in n for n in rates)
    assert any('b.visual_backbone.layer2' in n for n in rates)
    slow = 0.1 if paramwise_cfg else 1.0
    assert rates['localizers.b.audio_projection.input.weight'] == 1.0
    encoder = [r for n, r in rates.items() if 'b.audio_encoder' in n]
    assert encoder
    assert set(encoder) == {slow}
