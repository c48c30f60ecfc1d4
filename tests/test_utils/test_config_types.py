import numpy as np
import pytest
from mmengine.config import Config

from mmxpl.utils.config_types import check_settings
from mmxpl.utils.errors import DataError


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(randomness=dict(seed=-1)), 'randomness.seed is None or a whole number'),
        (dict(randomness=dict(seed='1')), "got '1'"),
        (dict(log_level='LOUD'), "log_level is .* got 'LOUD'"),
        (
            dict(
                default_hooks=dict(
                    pseudo_label=dict(type='CrossPseudoLabelHook'),
                    psuedo_label=dict(momentum=0.3),
                )
            ),
            'default_hooks.psuedo_label has no type; did you mean pseudo_label?',
        ),
        (
            dict(custom_hooks=[dict(type='CheckpointGuardHook', partial='no')]),
            "custom_hooks.0.partial has the type bool, got 'no'",
        ),
        (
            dict(
                default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval='1'))
            ),
            'checkpoint.interval has the type int',
        ),
        (
            dict(val_evaluator=dict(type='mmxpl.CIoUMetric', rules='fixed')),
            r"rules has the type Sequence\[str\], got 'fixed'",
        ),
        (
            dict(model=dict(type='XPL', data_preprocessor=None)),
            'model.data_preprocessor has the type dict, got None',
        ),
        (dict(load_from=5), r'^load_from has the type Optional\[str\], got 5'),
        (dict(randomness=None), '^randomness has the type Dict, got None'),
        (dict(randomness='abc'), "^randomness has the type Dict, got 'abc'"),
        (dict(default_hooks='abc'), "^default_hooks has the type .*, got 'abc'"),
        (
            dict(env_cfg=dict(cudnn_benchmark='no')),
            "^env_cfg.cudnn_benchmark has the type bool, got 'no'",
        ),
        (dict(env_cfg=dict(mp_cfg=None)), '^env_cfg.mp_cfg has the type dict, got'),
        (
            dict(env_cfg=dict(mp_cfg=dict(opencv_num_threads='x'))),
            '^env_cfg.mp_cfg.opencv_num_threads has the type int',
        ),
        (
            dict(env_cfg=dict(dist_cfg=dict(timeout='1 h'))),
            "^env_cfg.dist_cfg.timeout has the type float . None, got '1 h'",
        ),
        (dict(auto_scale_lr=dict(enable='no')), 'auto_scale_lr.enable has .* bool'),
        (
            dict(val_dataloader=dict(persistent_workers='no')),
            '^val_dataloader.persistent_workers has the type bool',
        ),
        (
            dict(model_wrapper_cfg=3),
            'model_wrapper_cfg has the type dict | None, got 3',
        ),
        (dict(runner_type='Runer'), "^runner_type is 'Runer', which is not registered"),
        (dict(find_unused_parameters='no'), 'find_unused_parameters has .* bool'),
        # an argument without a type has that of its default
        (
            dict(log_processor=dict(type='LogProcessor', by_epoch='no')),
            "^log_processor.by_epoch has the type bool, got 'no'",
        ),
        (
            dict(log_processor=dict(type='LogProcessor', window_size='x')),
            "^log_processor.window_size has the type int, got 'x'",
        ),
        (
            dict(log_processor=dict(window_size=0)),
            '^log_processor.window_size must be positive, got 0',
        ),
        (
            dict(optim_wrapper=dict(clip_grad=dict(max_norm=-1))),
            '^optim_wrapper.clip_grad.max_norm must be positive, got -1',
        ),
        (
            dict(optim_wrapper=dict(clip_grad=dict(max_norm=None))),
            'clip_grad.max_norm has the type float, got None',
        ),
        (dict(optim_wrapper='x'), r'^optim_wrapper has the type .*, got .x'),
        (dict(test_evaluator=3), r'^test_evaluator has the type .*, got 3'),
        (dict(resume='yes'), "^resume is True, False or 'auto', got 'yes'"),
        (dict(test_dataloader=dict(dataset='x')), 'test_dataloader.dataset has the'),
        (dict(val_dataloader=dict(sampler='x')), 'val_dataloader.sampler has the'),
        (dict(model=dict(a=[dict(type='')])), r"model\.a\.0\.type is '': name a"),
        (dict(optim_wrapper=dict(type=None)), 'optim_wrapper.type is None: name a'),
    ],
)
def test_settings_of_a_wrong_type_are_refused(settings, words):
    with pytest.raises(DataError, match=words):
        check_settings(Config(settings))


def test_settings_that_may_have_several_types_pass():
    hook = dict(type='CheckpointHook', save_best=['a', 'b'], max_keep_ckpts=3)
    loss = dict(type='MaxMILContrastiveLoss', loss_weight=1, temperature=0.1)
    metric = dict(type='CIoUMetric', rules=('fixed',), models=None, prior='x.npy')
    other = dict(type='mmdet.ResNet', depth='18')  # refused by its own class
    wrong = dict(type='nothing.')  # refused by the registry
    check_settings(
        Config(dict(a=[hook, loss], b=dict(c=metric, d=other, e=wrong), log_level=20))
    )
    xavier = dict(type='Xavier', gain=0.5, distribution='uniform', bias=0)
    check_settings(Config(dict(a=xavier, compile=dict(backend='inductor'))))
    means = dict(type='AVDataPreprocessor', mean=np.ones(3), std=np.ones(3))
    net = dict(type='AVLocalizer', init_cfg=[xavier], embed_dim=np.int64(8))
    waits = dict(dist_cfg=dict(timeout=None))
    check_settings(Config(dict(a=means, b=net, env_cfg=waits)))
    steps = dict(type='MultiStepLR', milestones=range(2, 9, 3))
    check_settings(Config(dict(param_scheduler=[steps], resume='auto')))


def test_values_that_a_lazy_config_imports_are_checked_themselves(tmp_path):
    path = tmp_path / 'lazy.py'
    path.write_text(
        'from math import pi\n'
        'from mmengine.hooks import LoggerHook\n'
        "a = dict(type='MapBCELoss', pos_weight=pi)\n"
        'b = dict(type=LoggerHook, interval=2)\n'
    )
    cfg = Config.fromfile(path, lazy_import=True)
    check_settings(cfg)
    cfg.b.interval = 'two'
    with pytest.raises(DataError, match=r"b\.interval has the type int, got 'two'"):
        check_settings(cfg)
