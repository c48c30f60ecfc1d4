# Supervised + contrastive: XPL without pseudo-labels.
method = 'supervised + contrastive'
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=None, pseudo_label_strip=None, pseudo_label_monitor=None
)
