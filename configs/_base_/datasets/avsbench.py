# AVSBench's S4 or MS3, as tools/dataset_converters/avsbench.py lists it:
#   visual_frames  audio_wav  annotations.json  lists/{labeled,unlabeled,val,test}.txt
_base_ = './loaders.py'

data_root = '{{$MMXPL_DATA_ROOT:data/avsbench/s4_data}}'
img_size = (224, 224)
duration = 1.0  # seconds of sound around the frame; 5.0 with `avsbench.py --sound clip`

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
    dataset=dict(type='ConcatDataset', datasets=[labeled_dataset, unlabeled_dataset])
)
val_dataloader = dict(dataset=dict(evaluated_dataset, id_list='lists/val.txt'))
test_dataloader = dict(dataset=dict(evaluated_dataset, id_list='lists/test.txt'))
val_evaluator = dict(_delete_=True, type='SegmentationMetric')
test_evaluator = val_evaluator
