# A departure from the paper, for small worlds with 10 % labels or more: labels keep the
# area of the annotations, all clips are learnt from, thresholds are calibrated.
method = 'XPL-aligned'
model = dict(loss_pseudo=dict(loss_weight=1.0))
train_dataloader = dict(
    sampler=dict(curriculum=dict(_delete_=True, start=1.0, end=1.0))
)
default_hooks = dict(
    pseudo_label=dict(
        exchange='cross',
        soft=True,
        temperature=0.5,
        momentum=0.5,
        view='canonical',
        align_area=True,
        teacher_momentum=None,
        min_confidence=None,
    ),
    calibration=dict(enable=True, area_ratio=1.4),
)
