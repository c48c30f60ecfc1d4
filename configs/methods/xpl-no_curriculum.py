# XPL with all clips from the end of the warm-up.
method = 'XPL, no curriculum'
train_dataloader = dict(sampler=dict(curriculum=None))
