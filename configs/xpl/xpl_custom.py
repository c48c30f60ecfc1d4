# XPL on any folder in the layout of VGG-SS, with small nets for a small machine:
#   ROOT/frames/ID.jpg  ROOT/audio/ID.wav  ROOT/vggss.json  ROOT/{train,val,test}.txt
# A share of train.txt is labelled, the rest is not.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/xpl_small.py',
    '../_base_/datasets/vggss.py',
    '../_base_/schedules/adamw_cosine.py',
]

# ---------------- frequently modified, also from the environment ----------------
data_root = '{{$MMXPL_DATA_ROOT:data/custom}}'
train_list = '{{$MMXPL_TRAIN_LIST:train.txt}}'
val_list = '{{$MMXPL_VAL_LIST:val.txt}}'
test_list = '{{$MMXPL_TEST_LIST:test.txt}}'
labelled_fraction = float('{{$MMXPL_LABELLED_FRACTION:0.1}}')
seed = int('{{$MMXPL_SEED:0}}')
max_epochs, warmup_epochs = 12, 7
labelled_per_batch, unlabelled_per_batch = 16, 40
base_lr = 2e-3
few_labels = labelled_fraction < 0.1  # as in xpl_synthetic.py, where this was chosen
# ---------------------------------------------------------------------------------

batch_size = labelled_per_batch + unlabelled_per_batch
load = [dict(_base_.load[0], size=(80, 80)), *_base_.load[1:]]
clips = dict(_base_.clips, data_root=data_root, pipeline=load)
train_set = dict(clips, id_list=train_list, fraction=labelled_fraction, split_seed=seed)
evaluated_set = dict(clips, labelled=True, test_mode=True)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    dataset=dict(
        datasets=[
            dict(train_set, subset='labelled', labelled=True),
            dict(train_set, subset='unlabelled'),
        ]
    ),
    sampler=dict(
        labelled_per_batch=labelled_per_batch,
        unlabelled_per_batch=unlabelled_per_batch,
        # all clips from the start: of a few thousand, a share is learnt by heart
        curriculum=dict(start=1.0, end=1.0, begin=warmup_epochs, until=max_epochs),
    ),
)
val_dataloader = dict(
    batch_size=batch_size, num_workers=1, dataset=dict(evaluated_set, id_list=val_list)
)
test_dataloader = dict(
    batch_size=batch_size, num_workers=1, dataset=dict(evaluated_set, id_list=test_list)
)
model = dict(loss_pseudo=dict(loss_weight=2.0 if few_labels else 1.0))
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=base_lr))
param_scheduler = [
    _base_.warm_start,
    dict(_base_.cosine, end=max_epochs, T_max=max_epochs),
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='CrossPseudoLabelHook',
        warmup_epochs=warmup_epochs,
        exchange='cross',
        soft=not few_labels,
        temperature=None if few_labels else 0.5,  # of soft labels
        momentum=0.8 if few_labels else 0.5,
        reliability=('agreement', 'confidence'),
        align_area=True,
    ),
    dict(type='AreaCalibrationHook', area_ratio=1.4),
    dict(type='PseudoLabelStripHook'),
    dict(type='PseudoLabelMonitorHook'),
]
randomness = dict(seed=seed)
