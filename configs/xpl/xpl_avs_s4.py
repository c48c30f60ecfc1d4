# XPL on AVSBench's S4: masks of the first second of each training video, as the set
# has them, the other four unlabeled. Never trained by us; see docs/data/avsbench.md.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/xpl_r18.py',
    '../_base_/datasets/avsbench.py',
    '../_base_/schedules/adamw_cosine.py',
]

# the few things that one changes; MMXPL_DATA_ROOT says where the data are
train_cfg = dict(max_epochs=20, warmup_epochs=0.25)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
auto_scale_lr = dict(base_batch_size=128)

default_hooks = dict(checkpoint=dict(save_best='segmentation/ens/mIoU'))
