# Supervised + contrastive: XPL's two localizers, steps and batches, without
# pseudo-labels. Settings are inherited, so a change of the budget reaches both.
_base_ = '../xpl/xpl_synthetic.py'

custom_hooks = [*_base_.plain_hooks, _base_.calibration]
