# XPL with two localizers of one architecture, weights apart.
method = 'XPL, the same architecture twice'
model = dict(localizers=dict(b='a'))
