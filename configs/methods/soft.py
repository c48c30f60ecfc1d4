# Soft self-training: each localizer learns from its own map, sharpened (MixMatch,
# Berthelot et al., NeurIPS 2019, eq. 7) and averaged over visits (temporal ensembling,
# Laine & Aila, ICLR 2017) as in XPL, without exchange and curriculum.
method = 'soft self-training'
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=dict(
        exchange='self',
        soft=True,
        temperature=0.5,
        view='canonical',
        align_area=False,
        teacher_momentum=None,
        min_confidence=None,
    )
)
