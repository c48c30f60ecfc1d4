# Vanilla pseudo-labels (Lee, ICML Workshops 2013): each localizer learns from its own
# newest map, thresholded at 0.5; all clips from the end of the warm-up.
_base_ = './supcon_synthetic.py'

train_dataloader = dict(sampler=dict(curriculum=None))
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='CrossPseudoLabelHook',
        warmup_epochs=_base_.warmup_epochs,
        exchange='self',
        soft=False,
        momentum=0.0,
    ),
    *_base_.label_hooks,
]
