"""A small model and a batch, for tests and examples."""

import torch
from mmengine.structures import InstanceData

from mmxpl.structures import AVDataSample

IMAGE_SIZE, SAMPLE_RATE = 48, 8000


def tiny_model_cfg(norm: str = 'BN', **overrides) -> dict:
    """Makes the config of an XPL with two localizers of a few thousand weights.

    It reads 48-pixel frames and 8 kHz sound and gives maps of 6 x 6 cells.

    Args:
        norm (str): 'BN', or 'GN' where the result must not depend on how a
            batch is divided.
        **overrides: Top-level keys to replace.
    """
    norm_cfg = dict(type='BN') if norm == 'BN' else dict(type='GN', num_groups=2)
    resnet = dict(
        type='mmdet.ResNet',
        depth=18,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(1,),
        base_channels=8,
        stem_channels=8,
        norm_cfg=norm_cfg,
        norm_eval=False,
    )
    localizer = dict(
        type='AVLocalizer',
        visual_backbone=resnet,
        embed_dim=16,
        # eight channels are too few for it in the strided shortcut, see AVLocalizer
        channels_last=False,
    )
    cfg = dict(
        type='XPL',
        data_preprocessor=dict(
            type='AVDataPreprocessor',
            audio=dict(
                log_spectrogram=dict(type='LogSpectrogram', n_fft=128, hop_length=128),
                log_mel=dict(
                    type='LogMel',
                    sample_rate=SAMPLE_RATE,
                    n_fft=256,
                    win_length=200,
                    hop_length=160,
                    n_mels=16,
                    f_max=3800.0,
                ),
            ),
            augment=dict(min_area=0.6),
        ),
        localizers=dict(
            a=dict(
                localizer,
                audio_encoder=dict(
                    type='SpectrogramEncoder',
                    backbone=dict(resnet, in_channels=1),
                    out_channels=16,
                ),
                audio_input='log_spectrogram',
            ),
            b=dict(
                localizer,
                audio_encoder=dict(
                    type='VGGishEncoder',
                    channels=(8, 16),
                    depths=(1, 1),
                    norm_cfg=norm_cfg,
                ),
                audio_input='log_mel',
            ),
        ),
        loss_supervised=dict(type='MapBCELoss'),
        loss_pseudo=dict(type='MapBCELoss'),
        loss_contrastive=dict(type='MaxMILContrastiveLoss', loss_weight=0.1),
    )
    return {**cfg, **overrides}


def tiny_batch(labeled: int = 2, unlabeled: int = 3, seed: int = 0) -> dict:
    """Makes a collated batch of noise, labeled clips (one box each) first."""
    generator = torch.Generator().manual_seed(seed)
    size = labeled + unlabeled
    samples = []
    for i in range(size):
        is_labeled = i < labeled
        index = i if is_labeled else i - labeled
        sample = AVDataSample(
            metainfo=dict(
                sample_id=f'{"l" if is_labeled else "u"}{index}',
                sample_idx=index,
                is_labeled=is_labeled,
                img_shape=(IMAGE_SIZE, IMAGE_SIZE),
            )
        )
        if is_labeled:
            sample.gt_map = torch.zeros(224, 224)
            sample.gt_map[40 + 20 * i : 140 + 20 * i, 30:150] = 1
            sample.gt_instances = InstanceData(
                bboxes=torch.tensor(
                    [[30 / 224, (40 + 20 * i) / 224, 150 / 224, (140 + 20 * i) / 224]]
                )
            )
        samples.append(sample)
    images = torch.randint(
        0, 256, (size, 3, IMAGE_SIZE, IMAGE_SIZE), generator=generator
    )
    audio = torch.rand(size, SAMPLE_RATE // 2, generator=generator) * 2 - 1
    return dict(
        inputs=dict(img=images.to(torch.uint8), audio=audio), data_samples=samples
    )
