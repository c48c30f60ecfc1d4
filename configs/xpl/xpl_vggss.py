# XPL on VGG-Sound 144k: two ResNet-18 localizers at 224 pixels, 14 x 14 cells.
# 500 labeled, 250 validation and 4,408 test clips of VGG-SS's 5,158: scores are of a
# part of VGG-SS and do not compare with those of the whole. See docs/data/vggss.md.
# The paper's text does not give its hyperparameters in full; those below are ours.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/xpl_r18.py',
    '../_base_/datasets/vggss.py',
    '../_base_/schedules/adamw_cosine.py',
]

# the few things that one changes; MMXPL_DATA_ROOT says where the data are, the lists
# are in ../_base_/datasets/vggss.py
train_cfg = dict(max_epochs=20, warmup_epochs=0.1)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
auto_scale_lr = dict(base_batch_size=128)
