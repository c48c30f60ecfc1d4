# XPL on one's own clips, as docs/data/custom.md makes them, with small nets:
#   ROOT/frames  ROOT/audio  ROOT/annotations.json  ROOT/lists/{labeled,...}.txt
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/xpl_small.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/adamw_cosine.py',
]

# the few things that one changes
data_root = '{{$MMXPL_DATA_ROOT:data/custom}}'
train_cfg = dict(max_epochs=12, warmup_epochs=0.55)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
auto_scale_lr = dict(base_batch_size=28)
sampler = dict(
    labeled_per_batch=8,
    unlabeled_per_batch=20,
    num_batches=25,  # steps of an epoch; None: once through the unlabeled clips
)
default_hooks = dict(pseudo_label=dict(momentum=0.5))

clips = dict(_base_.clips, data_root=data_root)
labeled = dict(clips, id_list='lists/labeled.txt', labeled=True)
unlabeled = dict(clips, id_list='lists/unlabeled.txt')
train_dataloader = dict(
    sampler=sampler,
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[labeled, unlabeled]),
)
val_dataloader = dict(dataset=dict(data_root=data_root, id_list='lists/val.txt'))
test_dataloader = dict(dataset=dict(data_root=data_root, id_list='lists/test.txt'))
