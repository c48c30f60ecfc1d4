# Supervised + contrastive on the open set of xpl_synthetic_openset.py.
_base_ = '../xpl/xpl_synthetic_openset.py'

model = dict(loss_pseudo=dict(loss_weight=1.0))  # as in supcon_synthetic.py
custom_hooks = [*_base_.plain_hooks, _base_.calibration]
