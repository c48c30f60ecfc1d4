# Dual Mean-Teacher (Guo et al., NeurIPS 2023, arXiv 2403.03145): two distinct teachers;
# where their masks agree (IoU), both students learn the masks' intersection.
method = 'DMT'
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=dict(
        exchange='intersection',
        soft=False,
        temperature=None,
        momentum=0.0,
        reliability=('agreement',),
        view='canonical',
        align_area=False,
        teacher_momentum=0.99,
        min_confidence=0.5,
    )
)
