# Loaders and evaluators of every data set: each batch has labeled and unlabeled clips.
train_dataloader = dict(
    num_workers=8,
    persistent_workers=True,
    sampler=dict(
        type='CurriculumSampler',
        labeled_per_batch=32,
        unlabeled_per_batch=96,
        num_batches=None,  # an epoch goes through the unlabeled clips once
        curriculum=dict(start=0.5, end=1.0),
    ),
    collate_fn=dict(type='mmxpl.av_collate'),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='mmxpl.av_collate'),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='CIoUMetric')
test_evaluator = val_evaluator
