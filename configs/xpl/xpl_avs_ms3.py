# XPL on AVSBench's MS3, all of whose training frames have masks: a share of them keeps
# theirs. Never trained by us; see docs/data/avsbench.md.
_base_ = './xpl_avs_s4.py'

# the few things that one changes
train_cfg = dict(max_epochs=60)
share = dict(labeled_fraction=0.1, split_seed=0)

frames = dict(_base_.clips, id_list='lists/labeled.txt')
train_dataloader = dict(
    dataset=dict(_delete_=True, type='SplitDataset', dataset=frames, **share)
)
