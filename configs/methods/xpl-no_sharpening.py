# XPL without sharpening.
method = 'XPL, no sharpening'
default_hooks = dict(pseudo_label=dict(temperature=1.0))
