# The synthetic world, as tools/dataset_converters/make_synthetic.py writes it.
_base_ = './loaders.py'

data_root = '{{$MMXPL_DATA_ROOT:data/synthetic}}'
img_size = (80, 80)
sample_rate = 16000
duration = 3.0  # seconds

# folder that tools/dataset_converters/build_cache.py fills; none: read the files
cache = '{{$MMXPL_CACHE:none}}'
cache = None if cache == 'none' else cache

load = [
    dict(type='LoadFrame', size=img_size, cache=cache),
    dict(type='LoadAudio', sample_rate=sample_rate, duration=duration, cache=cache),
    dict(type='RasterizeTargets', size=224),
    dict(type='PackAVInputs'),
]
clips = dict(
    type='AVJsonDataset',
    data_root=data_root,
    ann_file='annotations.json',
    pipeline=load,
)
evaluated_clips = dict(clips, labeled=True, test_mode=True)

train_dataloader = dict(
    num_workers=1,
    sampler=dict(labeled_per_batch=16, unlabeled_per_batch=40),
    # which clips have labels
    dataset=dict(
        type='SplitDataset',
        labeled_fraction=0.05,
        split_seed=0,
        dataset=dict(clips, id_list='train.txt'),
    ),
)
scoring = dict(num_workers=1, batch_size=56)
val_dataloader = dict(scoring, dataset=dict(evaluated_clips, id_list='val.txt'))
test_dataloader = dict(scoring, dataset=dict(evaluated_clips, id_list='test.txt'))
