# Self-supervised only: EZ-VSL's max-MIL contrast on frame and sound of all clips
# (Mo & Morgado, ECCV 2022); no box is used. Threshold and width of the map stay as
# they begin, so only rules that rank cells (median, adaptive) mean something.
_base_ = './supcon_synthetic.py'

# 0 keeps the boxes out and the map's threshold in the graph, for distributed training
model = dict(loss_supervised=dict(loss_weight=0.0))
custom_hooks = _base_.plain_hooks
