# Self-supervised only: EZ-VSL's max-MIL contrast on frame and sound of all clips
# (Mo & Morgado, ECCV 2022); no box is used. Threshold and width of the map stay as
# they begin, so only rules that rank cells (median, adaptive) mean something.
method = 'EZ-VSL loss, no labels'
# 0 keeps the boxes out and the map's threshold in the graph, for distributed training
model = dict(
    loss_supervised=dict(loss_weight=0.0),
    loss_contrastive=dict(type='MaxMILContrastiveLoss'),
)
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=None,
    pseudo_label_strip=None,
    pseudo_label_monitor=None,
    calibration=None,
)
