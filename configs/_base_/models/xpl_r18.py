# Two ResNet-18 localizers, 512 dimensions, 14 x 14 cells at 224 pixels.
# A hears a linear log-spectrogram through a ResNet-18, B a log-mel one through a
# VGGish network.
# The visual backbones start from ImageNet, as those of all AVSL methods do.
# from torchvision (downloaded); or a local file; or 'none', from scratch
pretrained = '{{$MMXPL_RESNET18:torchvision://resnet18}}'

visual_backbone = dict(
    type='mmdet.ResNet',
    depth=18,
    num_stages=4,
    strides=(1, 2, 2, 1),  # (1, 2, 2, 2) for 7 x 7 cells
    dilations=(1, 1, 1, 1),
    out_indices=(3,),
    norm_eval=False,
    style='pytorch',
    init_cfg=dict(type='Pretrained', checkpoint=pretrained),
)
if pretrained == 'none':
    visual_backbone.pop('init_cfg')

model = dict(
    type='XPL',
    data_preprocessor=dict(
        type='AVDataPreprocessor',
        audio=dict(
            log_spectrogram=dict(type='LogSpectrogram', n_fft=512, hop_length=238),
            log_mel=dict(type='LogMel', sample_rate=16000, n_mels=64),
        ),
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
                    out_indices=(3,),
                    norm_eval=False,
                ),
                out_channels=512,
            ),
            audio_input='log_spectrogram',
            embed_dim=512,
        ),
        b=dict(
            type='AVLocalizer',
            visual_backbone=visual_backbone,
            audio_encoder=dict(type='VGGishEncoder'),
            audio_input='log_mel',
            embed_dim=512,
        ),
    ),
    loss_supervised=dict(type='MapBCELoss'),
    loss_pseudo=dict(type='MapBCELoss', loss_weight=2.0),
    loss_contrastive=dict(
        type='MaxMILContrastiveLoss', temperature=0.07, loss_weight=1.0
    ),
    map_size=112,
)
