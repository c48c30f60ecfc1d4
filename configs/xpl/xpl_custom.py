# XPL on one's own clips, as docs/data/custom.md makes them, with small nets:
#   ROOT/frames  ROOT/audio  ROOT/annotations.json  ROOT/lists/{labeled,...}.txt
_base_ = './xpl_custom_vggss.py'

# the few things that one changes
sampler = dict(
    labeled_per_batch=8,
    unlabeled_per_batch=20,
    num_batches=25,  # steps of an epoch; None: once through the unlabeled clips
)
auto_scale_lr = dict(base_batch_size=28)

clips = dict(_base_.clips, data_root=_base_.data_root)
labeled = dict(clips, id_list='lists/labeled.txt', labeled=True)
unlabeled = dict(clips, id_list='lists/unlabeled.txt')
evaluated = dict(type='AVJsonDataset', ann_file='annotations.json')
train_dataloader = dict(
    sampler=sampler,
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[labeled, unlabeled]),
)
val_dataloader = dict(dataset=dict(evaluated, id_list='lists/val.txt'))
test_dataloader = dict(dataset=dict(evaluated, id_list='lists/test.txt'))
