# Self-supervised only: SLAVC (Mo & Morgado, NeurIPS 2022), localization times
# correspondence against momentum encoders, with visual dropout; otherwise as
# ezvsl_synthetic.py. Its own temperature is 0.03 and, for far more steps, its momentum
# 0.999.
_base_ = './ezvsl_synthetic.py'

dropout = dict(visual_dropout=0.9)
model = dict(
    localizers=dict(a=dropout, b=dropout),
    loss_contrastive=dict(type='SLAVCLoss', temperature=0.1),
    target_momentum=0.99,
)
