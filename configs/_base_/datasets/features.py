# Clips in a folder in the layout of VGG-SS, read as features of frozen encoders, which
# tools/dataset_converters/build_cache.py computes:
#   frames/ID.jpg  audio/ID.wav  vggss.json  {train,val,test}.txt
_base_ = './loaders.py'

data_root = '{{$MMXPL_DATA_ROOT:data/custom}}'
cache = f'{data_root}/features'  # None: the encoders run in every step

load = [
    dict(
        type='LoadFeatures',
        frame=dict(type='LoadFrame', size=(224, 224)),
        audio=dict(type='LoadAudio', sample_rate=16000, duration=3.0),
        cache=cache,
    ),
    dict(type='RasterizeTargets', size=224),
    dict(type='PackAVInputs'),
]
clips = dict(type='VGGSSDataset', data_root=data_root, pipeline=load)
evaluated_clips = dict(clips, labeled=True, test_mode=True)

# features are read faster than workers could pass them on
loading = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    loading,
    sampler=dict(labeled_per_batch=16, unlabeled_per_batch=40),
    # which clips have labels
    dataset=dict(
        type='SplitDataset',
        labeled_fraction=0.05,
        split_seed=0,
        dataset=dict(clips, id_list='train.txt'),
    ),
)
scoring = dict(loading, batch_size=56)
val_dataloader = dict(scoring, dataset=dict(evaluated_clips, id_list='val.txt'))
test_dataloader = dict(scoring, dataset=dict(evaluated_clips, id_list='test.txt'))
