# Supervised + contrastive on the open set of xpl_synthetic_openset.py.
_base_ = '../xpl/xpl_synthetic_openset.py'

custom_hooks = [*_base_.plain_hooks, _base_.calibration]
