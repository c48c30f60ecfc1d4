# XPL in which both learn the mean of both labels.
method = "XPL, the ensemble's labels"
default_hooks = dict(pseudo_label=dict(exchange='ensemble'))
