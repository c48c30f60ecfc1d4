# AdamW with a short linear warm-up and a cosine decay, both as long as the training.
# `warmup_epochs`, the epochs without pseudo-labels, is a number or, below 1, a share.
train_cfg = dict(
    type='ResumableTrainLoop', max_epochs=12, warmup_epochs=0.1, val_interval=1
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='TrainableOptimWrapperConstructor',  # frozen parts stay out
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='ShortWarmupLR', by_epoch=False, num_steps=50),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, convert_to_iter_based=True),
]
# `base_batch_size`: the clips of a step, of all processes, that `lr` is meant for
auto_scale_lr = dict(enable=False, base_batch_size=56)
