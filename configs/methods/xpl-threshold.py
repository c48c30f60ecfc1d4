# XPL with a fixed threshold of reliability, and all clips.
method = 'XPL, fixed confidence threshold'
default_hooks = dict(pseudo_label=dict(min_confidence=0.2))
train_dataloader = dict(sampler=dict(curriculum=None))
