# XPL on VGG-Sound 144k without a single box of VGG-SS: the labeled (4,250) and the
# validation clips (500) are Flickr-SoundNet's, so all 5,158 clips of VGG-SS are the
# test and scores compare with those of the whole. See docs/data/vggss.md.
_base_ = './xpl_vggss.py'

# the few things that one changes
flickr_root = '{{$MMXPL_FLICKR_ROOT:data/flickr_soundnet}}'

consensus = dict(type='RasterizeTargets', size=224, source='consensus')
flickr_clips = dict(
    type='FlickrSoundNetDataset',
    data_root=flickr_root,
    labeled=True,
    missing=_base_.missing,
    pipeline=[*_base_.load[:2], consensus, _base_.load[3]],
)
unlabeled = 'lists/flickr_labels/unlabeled.txt'
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(flickr_clips, id_list='lists/144k/labeled.txt'),
            dict(_base_.unlabeled_dataset, id_list=unlabeled),
        ]
    )
)
val_dataloader = dict(dataset=dict(flickr_clips, id_list='lists/144k/val.txt'))
test_dataloader = dict(dataset=dict(id_list='lists/vggss_test.csv'))
