# Self-supervised only: the tri-map of LVS (Chen et al., CVPR 2021), with its thresholds
# and temperatures; otherwise as ezvsl_synthetic.py.
_base_ = './ezvsl_synthetic.py'

model = dict(loss_contrastive=dict(_delete_=True, type='LVSLoss'))
