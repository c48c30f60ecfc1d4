# Dual Mean-Teacher, as dmt_synthetic.py, on the open set of xpl_synthetic_openset.py.
_base_ = './supcon_synthetic_openset.py'

train_dataloader = dict(sampler=dict(curriculum=None))
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='CrossPseudoLabelHook',
        warmup_epochs=_base_.warmup_epochs,
        exchange='intersection',
        teacher_momentum=0.99,
        soft=False,
        momentum=0.0,
        reliability=('agreement',),
        min_confidence=0.5,
    ),
    *_base_.label_hooks,
]
