import pytest
from mmengine.config import Config

from mmxpl.engine.resumed_settings import compare_settings


def config(**changes):
    cfg = Config(
        dict(
            work_dir='here',
            model=dict(type='XPL', loss_pseudo=dict(loss_weight=2.0)),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='A', lr=0.1)),
            param_scheduler=[dict(type='CosineAnnealingLR', T_max=3)],
            train_cfg=dict(max_epochs=3),
            train_dataloader=dict(
                num_workers=1,
                dataset=dict(
                    data_root='data',
                    pipeline=[dict(type='Load'), dict(type='Draw', source='union')],
                ),
            ),
            custom_hooks=[
                dict(type='Labels', exchange='cross', momentum=0.9, sizes=(1, 2)),
                dict(type='Other'),
            ],
        )
    )
    cfg.merge_from_dict({k.replace('__', '.'): v for k, v in changes.items()})
    return cfg


def test_the_same_settings_are_not_spoken_of():
    assert compare_settings(config(), config()) == []
    # a longer schedule, another place or speed are no other training
    now = config(
        work_dir='there',
        train_cfg__max_epochs=9,
        train_dataloader__num_workers=4,
        train_dataloader__dataset__data_root='moved',
    )
    assert compare_settings(config(), now) == []


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(custom_hooks__0__exchange='self'), "Labels.exchange 'cross' -> 'self'"),
        (dict(custom_hooks__0__momentum=0.5), 'Labels.momentum 0.9 -> 0.5'),
        (
            dict(train_dataloader__dataset__pipeline__1__source='consensus'),
            "Draw.source 'union' -> 'consensus'",
        ),
        (dict(optim_wrapper__type='AmpOptimWrapper'), "-> 'AmpOptimWrapper'"),
        (dict(model__loss_pseudo__loss_weight=1.0), 'loss_weight 2.0 -> 1.0'),
    ],
)
def test_what_is_done_otherwise_from_here_on_is_told(change, words):
    (line,) = compare_settings(config(), config(**change))
    assert words in line
    assert 'was started with other settings' in line
    assert '\n' not in line


@pytest.mark.parametrize(
    'change',
    [dict(optim_wrapper__optimizer__lr=0.5), dict(param_scheduler__0__T_max=9)],
)
def test_what_the_checkpoint_overrides_is_told(change):
    (line,) = compare_settings(config(), config(**change))
    assert line.startswith('Without effect in a resumed run')
    assert next(iter(change)).rsplit('__')[-1] in line


def test_of_many_changes_the_first_are_named():
    now = config()
    now.model = dict({f'k{n}': n for n in range(9)}, type='XPL')
    (line,) = compare_settings(config(), now)
    assert ', and 4 more' in line
