# XPL on the synthetic world with 5 % labels, in minutes on two CPU cores.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/xpl_small.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/adamw_cosine.py',
]

# ---------------------------- frequently modified ----------------------------
labelled_fraction = float('{{$MMXPL_LABELLED_FRACTION:0.05}}')
split_seed = 0  # which clips are labelled
max_epochs, warmup_epochs = 16, 9
base_lr = 2e-3
batches_per_epoch = 50
# the fewer the labels, the more the other's are worth: chosen on validation clips at
# 5 % and, by the ensemble, at 10 % of labels (docs/benchmark.md)
few_labels = labelled_fraction < 0.1
pseudo_label_weight = 2.0 if few_labels else 1.0
# ------------------------------------------------------------------------------

split = dict(fraction=labelled_fraction, split_seed=split_seed)
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(_base_.labelled_dataset, **split),
            dict(_base_.unlabelled_dataset, **split),
        ]
    ),
    sampler=dict(
        num_batches=batches_per_epoch,
        # all clips from the start: with so few, a share of them is learnt by heart
        curriculum=dict(start=1.0, end=1.0, begin=warmup_epochs, until=max_epochs),
    ),
)
model = dict(loss_pseudo=dict(loss_weight=pseudo_label_weight))
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
optim_wrapper = dict(optimizer=dict(lr=base_lr))
param_scheduler = [
    _base_.warm_start,
    dict(_base_.cosine, end=max_epochs, T_max=max_epochs),
]
plain_hooks = _base_.custom_hooks  # of a training without labels of any kind
# thresholds by the area of the annotations, for whoever cuts maps at 0.5; no training
# and no ranking changes; the same for every method that has annotations
calibration = dict(type='AreaCalibrationHook', area_ratio=1.4)
# whatever makes the labels: they stay out of published models, and every epoch logs
# what they are worth by the boxes of the clips that are trained on without them
label_hooks = [
    dict(type='PseudoLabelStripHook'),
    dict(type='PseudoLabelMonitorHook', truth=dict(_base_.train_set, labelled=True)),
]
custom_hooks = [
    *plain_hooks,
    dict(
        type='CrossPseudoLabelHook',
        warmup_epochs=warmup_epochs,
        exchange='cross',
        # few labels: votes, hard labels that the momentum averages over visits
        soft=not few_labels,
        temperature=None if few_labels else 0.5,  # of soft labels
        momentum=0.8 if few_labels else 0.5,
        reliability=('agreement', 'confidence'),
        view='canonical',
        align_area=True,
        teacher_momentum=None,
        min_confidence=None,
    ),
    calibration,
    *label_hooks,
]
