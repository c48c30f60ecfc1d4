# Supervised only: XPL's two localizers, steps and labelled batches, nothing else.
_base_ = './supcon_synthetic.py'

model = dict(loss_contrastive=None)
train_dataloader = dict(
    batch_size=_base_.labelled_per_batch, sampler=dict(unlabelled_per_batch=0)
)
