# Self-supervised only: FNAC (Sun et al., CVPR 2023), EZ-VSL's contrast with affinity
# terms and visual dropout; otherwise as ezvsl.py. Its own temperature is 0.03, here it
# is the config's, its warm-up 3 to 5 of 20 to 100 epochs.
method = 'FNAC loss, no labels'
# 0 keeps the boxes out and the map's threshold in the graph, for distributed training
model = dict(
    localizers={'*': dict(visual_dropout=0.9)},
    loss_supervised=dict(loss_weight=0.0),
    loss_contrastive=dict(type='FNACLoss', warmup_epochs=3),
)
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=None,
    pseudo_label_strip=None,
    pseudo_label_monitor=None,
    calibration=None,
)
