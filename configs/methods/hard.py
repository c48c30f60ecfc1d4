# Vanilla pseudo-labels (Lee, ICML Workshops 2013): each localizer learns from its own
# newest map, thresholded at 0.5; all clips from the end of the warm-up.
method = 'hard pseudo-labels'
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=dict(
        exchange='self',
        soft=False,
        temperature=None,
        momentum=0.0,
        view='canonical',
        align_area=False,
        teacher_momentum=None,
        min_confidence=None,
    )
)
