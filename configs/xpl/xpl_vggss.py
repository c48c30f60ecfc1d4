# XPL on VGG-Sound 144k: two ResNet-18 localizers at 224 pixels, 14 x 14 cells.
# 500 labelled, 250 validation and 4,408 test clips of VGG-SS's 5,158: scores are of a
# part of VGG-SS and do not compare with those of the whole. See docs/data/vggss.md.
# The paper's text does not give its hyperparameters in full; those below are ours.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/xpl_r18.py',
    '../_base_/datasets/vggss.py',
    '../_base_/schedules/adamw_cosine.py',
]

# ---------------------------- frequently modified ----------------------------
# data: MMXPL_DATA_ROOT, or `data_root` and the lists in ../_base_/datasets/vggss.py
max_epochs, warmup_epochs = 20, 2
base_lr = 1e-4  # for 1 x 128 clips
# ------------------------------------------------------------------------------

train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=base_lr))
auto_scale_lr = dict(enable=False, base_batch_size=128)
param_scheduler = [
    _base_.warm_start,
    dict(_base_.cosine, end=max_epochs, T_max=max_epochs),
]
train_dataloader = dict(
    sampler=dict(
        curriculum=dict(start=0.5, end=1.0, begin=warmup_epochs, until=max_epochs)
    )
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='CrossPseudoLabelHook',
        warmup_epochs=warmup_epochs,
        exchange='cross',
        temperature=0.5,
        momentum=0.9,
        reliability=('agreement',),
    ),
    dict(type='PseudoLabelStripHook'),
    dict(type='PseudoLabelMonitorHook'),
]
