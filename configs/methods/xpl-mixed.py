# A departure from the paper: every frame also learns its target, annotated or pseudo-
# label, with another clip's sound on top of its own.
method = 'XPL-mixed'
model = dict(mixed_audio=dict(loss_weight=0.5))
