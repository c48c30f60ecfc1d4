# The synthetic world, as tools/dataset_converters/make_synthetic.py writes it.
data_root = '{{$MMXPL_DATA_ROOT:data/synthetic}}'
labelled_fraction = 0.05
split_seed = 0
img_size = (80, 80)
sample_rate = 16000
duration = 3.0  # seconds

# folder that tools/dataset_converters/build_cache.py fills; none: read the files
cache = '{{$MMXPL_CACHE:none}}'
cache = None if cache == 'none' else cache

labelled_per_batch, unlabelled_per_batch = 16, 40
batch_size = labelled_per_batch + unlabelled_per_batch
num_workers = 1

load = [
    dict(type='LoadFrame', size=img_size, cache=cache),
    dict(type='LoadAudio', sample_rate=sample_rate, duration=duration, cache=cache),
    dict(type='RasterizeTargets', size=224),
    dict(type='PackAVInputs'),
]
train_set = dict(
    type='AVJsonDataset',
    data_root=data_root,
    ann_file='annotations.json',
    id_list='train.txt',
    fraction=labelled_fraction,
    split_seed=split_seed,
    pipeline=load,
)
labelled_dataset = dict(train_set, subset='labelled', labelled=True)
unlabelled_dataset = dict(train_set, subset='unlabelled')
evaluated_set = dict(
    type='AVJsonDataset',
    data_root=data_root,
    ann_file='annotations.json',
    labelled=True,
    pipeline=load,
    test_mode=True,
)

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=True,
    sampler=dict(
        type='CurriculumSampler',
        labelled_per_batch=labelled_per_batch,
        unlabelled_per_batch=unlabelled_per_batch,
    ),
    collate_fn=dict(type='mmxpl.av_collate'),
    dataset=dict(
        type='ConcatDataset',
        datasets=[labelled_dataset, unlabelled_dataset],
    ),
)
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='mmxpl.av_collate'),
    dataset=dict(evaluated_set, id_list='val.txt'),
)
test_dataloader = dict(val_dataloader, dataset=dict(evaluated_set, id_list='test.txt'))
val_evaluator = dict(type='CIoUMetric')
test_evaluator = val_evaluator
