# XPL on any folder in the layout of VGG-SS, with small nets for a small machine:
#   ROOT/frames/ID.jpg  ROOT/audio/ID.wav  ROOT/vggss.json  ROOT/{train,val,test}.txt
# A share of train.txt is labeled, the rest is not.
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
default_hooks = dict(pseudo_label=dict(momentum=0.5))

layout = dict(type='VGGSSDataset', data_root=data_root, ann_file='vggss.json')
train_dataloader = dict(
    dataset=dict(labeled_fraction=0.1, split_seed=0, dataset=layout)
)
val_dataloader = dict(dataset=layout)
test_dataloader = dict(dataset=layout)
