# Self-supervised only: the tri-map of LVS (Chen et al., CVPR 2021), with its
# thresholds and temperatures; otherwise as ezvsl.py.
method = 'LVS loss, no labels'
# 0 keeps the boxes out and the map's threshold in the graph, for distributed training
model = dict(
    loss_supervised=dict(loss_weight=0.0),
    loss_contrastive=dict(_delete_=True, type='LVSLoss'),
)
train_dataloader = dict(sampler=dict(curriculum=None))
default_hooks = dict(
    pseudo_label=None,
    pseudo_label_strip=None,
    pseudo_label_monitor=None,
    calibration=None,
)
