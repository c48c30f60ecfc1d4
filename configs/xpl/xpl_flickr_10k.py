# XPL on Flickr-SoundNet 10k: as xpl_flickr_144k.py, with fewer unlabeled clips and
# more epochs. 4,250 labeled, 500 validation, the published test clips.
_base_ = './xpl_flickr_144k.py'

# the few things that one changes
lists = 'lists/10k'
train_cfg = dict(max_epochs=100, val_interval=5)

train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(_base_.flickr_labeled, id_list=f'{lists}/labeled.txt'),
            dict(_base_.flickr_unlabeled, id_list=f'{lists}/unlabeled.txt'),
        ]
    )
)
val_dataloader = dict(dataset=dict(id_list=f'{lists}/val.txt'))
test_dataloader = dict(dataset=dict(id_list=f'{lists}/test.txt'))
