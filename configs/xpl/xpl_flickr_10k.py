# XPL on Flickr-SoundNet 10k: as xpl_flickr_144k.py, with fewer unlabelled clips and
# more epochs. 4,250 labelled, 500 validation, the published test clips.
_base_ = './xpl_flickr_144k.py'

# ---------------------------- frequently modified ----------------------------
lists = 'lists/10k'
max_epochs, warmup_epochs = 100, 10
# ------------------------------------------------------------------------------

train_cfg = dict(max_epochs=max_epochs, val_interval=5)
param_scheduler = [
    _base_.warm_start,
    dict(_base_.cosine, end=max_epochs, T_max=max_epochs),
]
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(_base_.flickr_labelled, id_list=f'{lists}/labelled.txt'),
            dict(_base_.flickr_unlabelled, id_list=f'{lists}/unlabelled.txt'),
        ]
    ),
    sampler=dict(
        curriculum=dict(start=0.5, end=1.0, begin=warmup_epochs, until=max_epochs)
    ),
)
val_dataloader = dict(dataset=dict(id_list=f'{lists}/val.txt'))
test_dataloader = dict(dataset=dict(id_list=f'{lists}/test.txt'))
custom_hooks = [
    dict(hook, warmup_epochs=warmup_epochs) if 'warmup_epochs' in hook else hook
    for hook in _base_.custom_hooks
]
