# AdamW with a short linear warm-up and a cosine decay over `max_epochs`.
max_epochs = 12
base_lr = 2e-3

train_cfg = dict(type='ResumableTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='TrainableOptimWrapperConstructor',  # frozen parts stay out
    optimizer=dict(type='AdamW', lr=base_lr, weight_decay=1e-4),
    clip_grad=dict(max_norm=5.0),
)
warm_start = dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50)
cosine = dict(
    type='CosineAnnealingLR',
    begin=0,
    end=max_epochs,
    T_max=max_epochs,
    eta_min_ratio=0.01,
    by_epoch=True,
    convert_to_iter_based=True,
)
param_scheduler = [warm_start, cosine]
