# XPL without the contrastive loss.
method = 'XPL, no contrastive loss'
model = dict(loss_contrastive=None)
