# AVSBench's S4 or MS3, as tools/dataset_converters/avsbench.py lists it:
#   visual_frames  audio_wav  annotations.json  lists/{labeled,unlabeled,val,test}.txt
data_root = '{{$MMXPL_DATA_ROOT:data/avsbench/s4_data}}'
img_size = (224, 224)
duration = 1.0  # seconds of sound around the frame; 5.0 with `avsbench.py --sound clip`
num_workers = 8

load = [
    dict(type='LoadFrame', size=img_size, cache=None),
    dict(type='LoadAudio', sample_rate=16000, duration=duration, cache=None),
    dict(type='RasterizeTargets', size=224, source='mask'),
    dict(type='PackAVInputs'),
]
clips = dict(type='AVJsonDataset', data_root=data_root, pipeline=load)
labeled_dataset = dict(clips, id_list='lists/labeled.txt', labeled=True)
unlabeled_dataset = dict(clips, id_list='lists/unlabeled.txt')
evaluated_dataset = dict(clips, labeled=True, test_mode=True)

train_dataloader = dict(
    num_workers=num_workers,
    persistent_workers=True,
    sampler=dict(
        type='CurriculumSampler',
        labeled_per_batch=32,
        unlabeled_per_batch=96,
        num_batches=None,  # an epoch goes through the unlabeled frames once
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
    dataset=dict(evaluated_dataset, id_list='lists/val.txt'),
)
test_dataloader = dict(
    val_dataloader, dataset=dict(evaluated_dataset, id_list='lists/test.txt')
)
val_evaluator = dict(type='SegmentationMetric')
test_evaluator = val_evaluator
