# XPL on the synthetic world with 5 % labels, in minutes on two CPU cores.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/xpl_small.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/adamw_cosine.py',
]

# the few things that one changes
train_dataloader = dict(
    dataset=dict(labeled_fraction=0.05, split_seed=0), sampler=dict(num_batches=50)
)
train_cfg = dict(max_epochs=16, warmup_epochs=0.55, val_interval=4)
optim_wrapper = dict(optimizer=dict(lr=2e-3))

default_hooks = dict(
    # a clip is visited seven times: at 0.9 its first label would weigh a half
    pseudo_label=dict(momentum=0.5),
    # what the labels are worth by the boxes that the training does not see
    pseudo_label_monitor=dict(truth=dict(_base_.clips, labeled=True)),
)
