# A departure from the paper, for small worlds with fewer than 10 % labels: hard labels
# that the momentum averages over visits, with twice the weight; otherwise as
# xpl-aligned.py.
method = 'XPL-votes'
model = dict(loss_pseudo=dict(loss_weight=2.0))
train_dataloader = dict(
    sampler=dict(curriculum=dict(_delete_=True, start=1.0, end=1.0))
)
default_hooks = dict(
    pseudo_label=dict(
        exchange='cross',
        soft=False,
        temperature=None,
        momentum=0.8,
        view='canonical',
        align_area=True,
        teacher_momentum=None,
        min_confidence=None,
    ),
    calibration=dict(enable=True, area_ratio=1.4),
)
