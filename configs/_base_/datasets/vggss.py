# A folder in the layout of VGG-SS:
#   frames/ID.jpg  audio/ID.wav  vggss.json  and lists of ids, as
#   tools/dataset_converters/split_labeled.py writes them.
data_root = '{{$MMXPL_DATA_ROOT:data/vggss}}'
labeled_list = 'lists/144k/labeled.txt'  # clips whose boxes are trained on
unlabeled_list = 'lists/144k/unlabeled.txt'
val_list = 'lists/144k/val.txt'
test_list = 'lists/144k/test.txt'
missing = 'error'  # 'skip' leaves out, counts and names clips that are incomplete
img_size = (224, 224)
sample_rate = 16000
duration = 3.0  # seconds, around the frame

# folder that tools/dataset_converters/build_cache.py fills; none: read the files
cache = '{{$MMXPL_CACHE:none}}'
cache = None if cache == 'none' else cache

num_workers = 8

load = [
    dict(type='LoadFrame', size=img_size, cache=cache),
    dict(type='LoadAudio', sample_rate=sample_rate, duration=duration, cache=cache),
    dict(type='RasterizeTargets', size=224),
    dict(type='PackAVInputs'),
]
clips = dict(type='VGGSSDataset', data_root=data_root, missing=missing, pipeline=load)
labeled_dataset = dict(clips, id_list=labeled_list, labeled=True)
unlabeled_dataset = dict(clips, id_list=unlabeled_list)
evaluated_dataset = dict(clips, labeled=True, test_mode=True)

train_dataloader = dict(
    num_workers=num_workers,
    persistent_workers=True,
    sampler=dict(
        type='CurriculumSampler',
        labeled_per_batch=32,
        unlabeled_per_batch=96,
        num_batches=None,  # an epoch goes through the unlabeled clips once
        curriculum=dict(start=0.5, end=1.0),
    ),
    collate_fn=dict(type='mmxpl.av_collate'),
    dataset=dict(type='ConcatDataset', datasets=[labeled_dataset, unlabeled_dataset]),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=num_workers,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='mmxpl.av_collate'),
    dataset=dict(evaluated_dataset, id_list=val_list),
)
test_dataloader = dict(
    val_dataloader, dataset=dict(evaluated_dataset, id_list=test_list)
)
val_evaluator = dict(type='CIoUMetric')
test_evaluator = val_evaluator
