# Self-supervised only: SLAVC (Mo & Morgado, NeurIPS 2022), localization times
# correspondence against momentum encoders, with visual dropout; otherwise as
# ezvsl.py. Its own temperature is 0.03, here it is the config's, and, for far more
# steps, its momentum 0.999.
method = 'SLAVC loss, no labels'
# 0 keeps the boxes out and the map's threshold in the graph, for distributed training
model = dict(
    localizers={'*': dict(visual_dropout=0.9)},
    loss_supervised=dict(loss_weight=0.0),
    loss_contrastive=dict(type='SLAVCLoss'),
    target_momentum=0.99,
)
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=None,
    pseudo_label_strip=None,
    pseudo_label_monitor=None,
    calibration=None,
)
