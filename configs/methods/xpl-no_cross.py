# XPL without the exchange.
method = 'XPL, each its own labels'
default_hooks = dict(pseudo_label=dict(exchange='self'))
