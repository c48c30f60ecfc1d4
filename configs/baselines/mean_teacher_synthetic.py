# Mean teacher (Tarvainen & Valpola, NeurIPS 2017): each localizer learns what the
# moving average of its own weights predicts on the plain view, unsharpened.
_base_ = './supcon_synthetic.py'

train_dataloader = dict(sampler=dict(curriculum=None))
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='CrossPseudoLabelHook',
        warmup_epochs=_base_.warmup_epochs,
        exchange='self',
        teacher_momentum=0.99,
        temperature=1.0,
        momentum=0.0,
    ),
    *_base_.label_hooks,
]
