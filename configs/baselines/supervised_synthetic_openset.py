# Supervised only on the open set of xpl_synthetic_openset.py.
_base_ = './supcon_synthetic_openset.py'

model = dict(loss_contrastive=None)
train_dataloader = dict(
    batch_size=_base_.labelled_per_batch, sampler=dict(unlabelled_per_batch=0)
)
