# Supervised only: the localizers and labeled batches of XPL, nothing else.
method = 'supervised'
model = dict(loss_contrastive=None)
train_dataloader = dict(sampler=dict(unlabeled_per_batch=0, curriculum=None))
default_hooks = dict(
    pseudo_label=None, pseudo_label_strip=None, pseudo_label_monitor=None
)
