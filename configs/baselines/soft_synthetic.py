# Soft self-training: each localizer learns from its own sharpened map (MixMatch,
# Berthelot et al., NeurIPS 2019, eq. 7), averaged over visits (temporal ensembling,
# Laine & Aila, ICLR 2017); XPL's labels without the exchange.
_base_ = './supcon_synthetic.py'

train_dataloader = dict(sampler=dict(curriculum=None))
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='CrossPseudoLabelHook',
        warmup_epochs=_base_.warmup_epochs,
        exchange='self',
        temperature=0.5,
        momentum=0.5,
    ),
    *_base_.label_hooks,
]
