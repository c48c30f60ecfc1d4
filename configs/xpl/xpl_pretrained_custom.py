# As xpl_pretrained.py, on one's own clips as docs/data/custom.md makes them:
#   ROOT/frames  ROOT/audio  ROOT/annotations.json  ROOT/lists/{labeled,...}.txt
_base_ = './xpl_pretrained.py'

# the few things that one changes
sampler = dict(
    labeled_per_batch=8,
    unlabeled_per_batch=20,
    num_batches=50,  # steps of an epoch; None: once through the unlabeled clips
)
auto_scale_lr = dict(base_batch_size=28)

clips = dict(
    type='AVJsonDataset',
    data_root=_base_.data_root,
    ann_file='annotations.json',
    pipeline=_base_.load,
)
lists = {name: f'lists/{name}.txt' for name in ('labeled', 'unlabeled', 'val', 'test')}
labeled = dict(clips, id_list=lists['labeled'], labeled=True)
unlabeled = dict(clips, id_list=lists['unlabeled'])
evaluated = dict(clips, labeled=True, test_mode=True, _delete_=True)
train_dataloader = dict(
    sampler=sampler,
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[labeled, unlabeled]),
)
val_dataloader = dict(dataset=dict(evaluated, id_list=lists['val']))
test_dataloader = dict(dataset=dict(evaluated, id_list=lists['test']))
