# XPL with the newest labels alone.
method = 'XPL, no PL-EMA'
default_hooks = dict(pseudo_label=dict(momentum=0.0))
