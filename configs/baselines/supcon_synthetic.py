# Supervised + contrastive: XPL's two localizers, steps and batches, without
# pseudo-labels. Settings are inherited, so a change of the budget reaches both.
_base_ = '../xpl/xpl_synthetic.py'

# of whoever labels from here on: XPL's 2 gives them half a point at most, or nothing
model = dict(loss_pseudo=dict(loss_weight=1.0))
custom_hooks = [*_base_.plain_hooks, _base_.calibration]
