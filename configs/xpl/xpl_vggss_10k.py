# XPL on VGG-Sound 10k: as xpl_vggss.py, with fewer unlabelled clips and more epochs.
# 500 labelled, 250 validation and 4,408 test clips of VGG-SS's 5,158: scores are of a
# part of VGG-SS and do not compare with those of the whole. See docs/data/vggss.md.
_base_ = './xpl_vggss.py'

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
            dict(_base_.labelled_dataset, id_list=f'{lists}/labelled.txt'),
            dict(_base_.unlabelled_dataset, id_list=f'{lists}/unlabelled.txt'),
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
