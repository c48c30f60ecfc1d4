# XPL with labels thresholded at 0.5 before they are averaged.
method = 'XPL, hard labels'
default_hooks = dict(pseudo_label=dict(soft=False, temperature=None))
