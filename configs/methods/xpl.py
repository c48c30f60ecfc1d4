# XPL as the paper has it (Guo et al., ICASSP 2024): soft, sharpened labels, averaged
# over visits, exchanged; the most reliable clips first; joint loss. What the configs
# are without any method; momentum and weight of the labels are theirs.
method = 'XPL'
train_dataloader = dict(
    sampler=dict(curriculum=dict(_delete_=True, start=0.5, end=1.0))
)
default_hooks = dict(
    pseudo_label=dict(
        exchange='cross',
        soft=True,
        temperature=0.5,
        view='canonical',
        align_area=False,
        teacher_momentum=None,
        min_confidence=None,
    )
)
