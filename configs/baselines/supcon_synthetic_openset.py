# Supervised + contrastive on the open set of xpl_synthetic_openset.py.
_base_ = '../xpl/xpl_synthetic_openset.py'

custom_hooks = [
    hook for hook in _base_.custom_hooks if 'PseudoLabel' not in hook['type']
]
