# Self-supervised only: FNAC (Sun et al., CVPR 2023), EZ-VSL's contrast with affinity
# terms and visual dropout; otherwise as ezvsl_synthetic.py. Its own temperature is
# 0.03, its warm-up 3 to 5 of 20 to 100 epochs.
_base_ = './ezvsl_synthetic.py'

dropout = dict(visual_dropout=0.9)
model = dict(
    localizers=dict(a=dropout, b=dropout),
    loss_contrastive=dict(type='FNACLoss', temperature=0.1, warmup_epochs=3),
)
