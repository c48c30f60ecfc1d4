import pytest
import torch

from mmxpl.models.data_preprocessors import AudioAugmentation, AVDataPreprocessor
from mmxpl.models.data_preprocessors.augmentation import Augmentation
from mmxpl.testing import tiny_batch, tiny_model_cfg

CFG = {k: v for k, v in tiny_model_cfg()['data_preprocessor'].items() if k != 'type'}


def reference(spectrogram, draws, time_shift, freq_mask, time_mask):
    """One (F, L) spectrogram, turned, then masked."""
    bins, length = spectrogram.shape
    steps = round(float(time_shift * (draws[0] - 0.5) * length))
    out = torch.empty_like(spectrogram)
    for time in range(length):
        out[:, (time + steps) % length] = spectrogram[:, time]
    mean = spectrogram.mean()
    height = round(float(freq_mask * draws[1] * bins))
    low = int(draws[2] * (bins - height + 1))
    width = round(float(time_mask * draws[3] * length))
    begin = int(draws[4] * (length - width + 1))
    for row in range(low, low + height):
        out[row] = mean
    for time in range(begin, begin + width):
        out[:, time] = mean
    return out


def test_views_are_those_of_the_reference():
    generator = torch.Generator().manual_seed(0)
    spectrograms = torch.rand(40, 1, 11, 17, generator=generator)
    draws = torch.rand(40, 5, generator=generator)
    views = AudioAugmentation(0.8, 0.5, 0.4)(spectrograms, draws)
    masked = 0
    for view, spectrogram, draw in zip(views, spectrograms, draws, strict=True):
        expected = reference(spectrogram[0], draw, 0.8, 0.5, 0.4)
        torch.testing.assert_close(view[0], expected)
        masked += int((view == spectrogram.mean()).any())
    assert masked > 20


def test_nothing_drawn_changes_nothing_and_the_largest_masks_leave_something():
    spectrograms = torch.rand(3, 1, 10, 20)
    draws = torch.rand(3, 5)
    same = AudioAugmentation(0.0, 0.0, 0.0)(spectrograms, draws)
    assert torch.equal(same, spectrograms)
    almost_one = torch.full((3, 5), 1 - 1e-6)
    view = AudioAugmentation(1.0, 0.3, 0.3)(spectrograms, almost_one)
    mean = spectrograms.mean(dim=(1, 2, 3), keepdim=True)
    left = (view - mean).abs() > 1e-6
    # 7 of 10 bins and 14 of 20 steps are not masked
    assert 80 <= int(left[0].sum()) <= 98


@pytest.mark.parametrize('kwargs', [dict(flip=-0.1), dict(flip=2), dict(contrast=-1)])
def test_settings_of_frames_out_of_range_are_refused(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        Augmentation(**kwargs)


@pytest.mark.parametrize(
    'kwargs', [dict(time_shift=1.1), dict(freq_mask=1.0), dict(time_mask=-0.1)]
)
def test_shares_out_of_range_are_refused(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        AudioAugmentation(**kwargs)


def views(**kwargs):
    torch.manual_seed(0)
    preprocessor = AVDataPreprocessor(**{**CFG, **kwargs})
    return preprocessor(tiny_batch(), True)['inputs']


def test_sound_changes_in_training_alone_and_leaves_the_frames_views_as_they_are():
    plain, heard = views(), views(augment_audio=dict())
    assert torch.equal(plain['img'], heard['img'])
    assert not torch.equal(plain['log_mel'], heard['log_mel'])
    only = views(augment=None, augment_audio=dict())
    assert torch.equal(only['log_mel'], heard['log_mel'])
    torch.manual_seed(0)
    preprocessor = AVDataPreprocessor(**CFG, augment_audio=dict())
    assert torch.equal(
        preprocessor(tiny_batch())['inputs']['log_mel'], plain['log_mel']
    )


def test_the_next_step_draws_another_view():
    torch.manual_seed(0)
    preprocessor = AVDataPreprocessor(**CFG, augment_audio=dict())
    one, other = (preprocessor(tiny_batch(), True)['inputs'] for _ in range(2))
    assert not torch.equal(one['log_mel'], other['log_mel'])
