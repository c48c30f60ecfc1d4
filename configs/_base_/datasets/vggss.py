# A folder in the layout of VGG-SS:
#   frames/ID.jpg  audio/ID.wav  vggss.json  and lists of ids, as
#   tools/dataset_converters/split_labeled.py writes them.
_base_ = './loaders.py'

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
    dataset=dict(type='ConcatDataset', datasets=[labeled_dataset, unlabeled_dataset])
)
val_dataloader = dict(dataset=dict(evaluated_dataset, id_list=val_list))
test_dataloader = dict(dataset=dict(evaluated_dataset, id_list=test_list))
