# Dual Mean-Teacher (Guo et al., NeurIPS 2023, arXiv 2403.03145): two distinct teachers;
# where their masks agree (IoU), both students learn the masks' intersection.
_base_ = './supcon_synthetic.py'

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
