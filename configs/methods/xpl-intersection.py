# XPL in which both learn what both labels mark.
method = 'XPL, the intersection of both labels'
default_hooks = dict(pseudo_label=dict(exchange='intersection'))
