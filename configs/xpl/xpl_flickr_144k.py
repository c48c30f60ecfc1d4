# XPL on Flickr-SoundNet 144k: 4,250 labeled and 500 validation clips of the 4,750 with
# boxes, the published test clips (249 or 250), consensus of three annotators. See
# docs/data/flickr.md. Nets and schedule are those of xpl_vggss.py.
_base_ = './xpl_vggss.py'

# the few things that one changes
data_root = '{{$MMXPL_DATA_ROOT:data/flickr_soundnet}}'
lists = 'lists/144k'

load = [
    *_base_.load[:2],
    dict(type='RasterizeTargets', size=224, source='consensus'),
    dict(type='PackAVInputs'),
]
flickr_clips = dict(
    type='FlickrSoundNetDataset',
    data_root=data_root,
    missing=_base_.missing,
    pipeline=load,
)
flickr_labeled = dict(flickr_clips, labeled=True, id_list=f'{lists}/labeled.txt')
flickr_unlabeled = dict(flickr_clips, id_list=f'{lists}/unlabeled.txt')
train_dataloader = dict(dataset=dict(datasets=[flickr_labeled, flickr_unlabeled]))
val_dataloader = dict(dataset=dict(flickr_clips, id_list=f'{lists}/val.txt'))
test_dataloader = dict(dataset=dict(flickr_clips, id_list=f'{lists}/test.txt'))
