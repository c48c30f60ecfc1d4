# Mean teacher (Tarvainen & Valpola, NeurIPS 2017): each localizer learns what the
# moving average of its own weights predicts on the plain view, unsharpened.
method = 'mean teacher'
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=dict(
        exchange='self',
        soft=True,
        temperature=1.0,
        momentum=0.0,
        view='canonical',
        align_area=False,
        teacher_momentum=0.99,
        min_confidence=None,
    )
)
