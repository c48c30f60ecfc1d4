# Trained deaf: supervised, with a constant in place of every sound. What it scores can
# be localized without listening.
method = 'trained deaf'
model = dict(deaf=True, loss_contrastive=None)
train_dataloader = dict(sampler=dict(unlabeled_per_batch=0, curriculum=None))
default_hooks = dict(
    pseudo_label=None, pseudo_label_strip=None, pseudo_label_monitor=None
)
