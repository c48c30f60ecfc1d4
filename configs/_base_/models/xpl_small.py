# Two small localizers for small machines: 10 x 10 cells at 80 pixels, trained from
# scratch. As in xpl_r18.py, A hears through a ResNet-18 and B through a VGGish
# network, both narrow and coarse in time. Other than there, both hear a log-mel
# spectrogram: from few clips A learns little from one with linear frequencies, and
# a localizer teaches its peer no more than it knows.
visual_backbone = dict(
    type='mmdet.ResNet',
    depth=18,
    num_stages=3,
    strides=(1, 2, 1),
    dilations=(1, 1, 1),
    out_indices=(2,),
    base_channels=16,
    stem_channels=16,
    norm_eval=False,
)

model = dict(
    type='XPL',
    data_preprocessor=dict(
        type='AVDataPreprocessor',
        audio=dict(log_mel=dict(type='LogMel', hop_length=640, n_mels=40)),
        augment=dict(min_area=0.5, flip=0.5),
    ),
    localizers=dict(
        a=dict(
            type='AVLocalizer',
            visual_backbone=visual_backbone,
            audio_encoder=dict(
                type='SpectrogramEncoder',
                backbone=dict(
                    type='mmdet.ResNet',
                    depth=18,
                    in_channels=1,
                    num_stages=3,
                    strides=(1, 2, 2),
                    dilations=(1, 1, 1),
                    out_indices=(2,),
                    base_channels=16,
                    stem_channels=16,
                    norm_eval=False,
                ),
                out_channels=64,
                pool='avg',
            ),
            audio_input='log_mel',
            embed_dim=128,
        ),
        b=dict(
            type='AVLocalizer',
            visual_backbone=visual_backbone,
            audio_encoder=dict(
                type='VGGishEncoder', channels=(16, 32, 64, 128), depths=(1, 1, 2, 2)
            ),
            audio_input='log_mel',
            embed_dim=128,
        ),
    ),
    loss_supervised=dict(type='MapBCELoss'),
    loss_pseudo=dict(type='MapBCELoss', loss_weight=2.0),
    loss_contrastive=dict(
        type='MaxMILContrastiveLoss', temperature=0.1, loss_weight=0.5
    ),
    map_size=112,
)
