import copy

import pytest
import torch

from mmxpl.models.data_preprocessors import (
    Augmentation,
    AVDataPreprocessor,
    PreparedInputs,
    sample_draws,
)
from mmxpl.testing import tiny_batch, tiny_model_cfg

CFG = {k: v for k, v in tiny_model_cfg()['data_preprocessor'].items() if k != 'type'}


def make(seed=0, **kwargs):
    torch.manual_seed(seed)
    return AVDataPreprocessor(**{**CFG, **kwargs})


def test_frames_are_normalised_and_turned_to_rgb():
    batch = tiny_batch()
    out = make()(batch)['inputs']['img']
    blue, red = batch['inputs']['img'][:, 0], batch['inputs']['img'][:, 2]
    torch.testing.assert_close(out[:, 0], (red - 123.675) / 58.395)
    torch.testing.assert_close(out[:, 2], (blue - 103.53) / 57.375)


def test_lists_and_stacked_tensors_give_the_same():
    batch, preprocessor = tiny_batch(), make()
    listed = dict(batch, inputs={k: list(v) for k, v in batch['inputs'].items()})
    one, other = preprocessor(batch)['inputs'], preprocessor(listed)['inputs']
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_prepare_is_done_once():
    preprocessor = make()
    prepared = preprocessor.prepare(tiny_batch())
    assert isinstance(prepared['inputs'], PreparedInputs)
    assert preprocessor.prepare(prepared) is prepared
    assert torch.equal(
        preprocessor(prepared)['inputs']['img'], prepared['inputs']['img']
    )


def test_image_and_targets_move_by_one_affine():
    # the ground truth is painted into the frame: after any view they still agree
    batch = tiny_batch(4, 0)
    for i, sample in enumerate(batch['data_samples']):
        small = torch.nn.functional.adaptive_avg_pool2d(sample.gt_map[None], 48)[0]
        batch['inputs']['img'][i] = (255 * small).to(torch.uint8)
        coarse = torch.nn.functional.adaptive_avg_pool2d(sample.gt_map[None], 6)
        sample.pseudo_label = torch.cat([coarse, torch.zeros(1, 6, 6)])
    before = [s.gt_map.clone() for s in batch['data_samples']]
    no_colour = dict(min_area=0.5, brightness=0, contrast=0, saturation=0)
    preprocessor = make(augment=no_colour, mean=(0, 0, 0), std=(1, 1, 1))
    out = preprocessor(batch, True)
    moved = 0
    for i, sample in enumerate(out['data_samples']):
        image = out['inputs']['img'][i, 0] / 255
        gt = torch.nn.functional.adaptive_avg_pool2d(sample.gt_map[None], 48)[0]
        assert (image - gt).abs().mean() < 0.03
        coarse = torch.nn.functional.adaptive_avg_pool2d(sample.gt_map[None], 6)
        assert (sample.pseudo_label[:1] - coarse).abs().mean() < 0.1
        assert sample.pseudo_label[1].sum() == 0
        moved += (sample.gt_map - before[i]).abs().mean() > 0.05
    assert moved >= 3


def test_colours_change_one_after_the_other():
    """Saturation about the grey of a pixel, contrast about the mean, brightness."""
    images = 255 * torch.rand(3, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    draws = torch.from_numpy(sample_draws(0, 0, range(3), 8))
    settings = dict(brightness=0.2, contrast=0.4, saturation=0.6)
    got = Augmentation(**settings).recolour(images, draws)
    for image, draw, changed in zip(images, draws, got, strict=True):
        bright, contrast, colour = (
            1 + strength * (2 * draw[5 + k].item() - 1)
            for k, strength in enumerate(settings.values())
        )
        grey = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
        expected = grey + colour * (image - grey)
        expected = grey.mean() + contrast * (expected - grey.mean())
        expected = (bright * expected).clamp(0, 255)
        torch.testing.assert_close(changed, expected, atol=1e-3, rtol=1e-5)
    assert (got == 255).any()


def test_views_depend_on_the_clip_and_the_step_not_on_the_place():
    batch, whole, parts = tiny_batch(2, 4), make(), make()
    split = [
        dict(
            inputs={k: v[rows] for k, v in batch['inputs'].items()},
            data_samples=[copy.deepcopy(batch['data_samples'][i]) for i in rows],
        )
        for rows in ([0, 2, 4], [1, 3, 5])
    ]
    together = whole(copy.deepcopy(batch), True)['inputs']['img']
    first = parts(split[0], True)['inputs']['img']
    parts.num_steps.zero_()
    second = parts(split[1], True)['inputs']['img']
    torch.testing.assert_close(together[[0, 2, 4]], first)
    torch.testing.assert_close(together[[1, 3, 5]], second)
    again = whole(copy.deepcopy(batch), True)['inputs']['img']
    assert not torch.allclose(again, together)


def test_a_restored_preprocessor_draws_the_views_that_would_come():
    batch, preprocessor, restored = tiny_batch(), make(), make()
    preprocessor(copy.deepcopy(batch), True)
    restored.load_state_dict(preprocessor.state_dict())
    one = preprocessor(copy.deepcopy(batch), True)['inputs']['img']
    other = restored(copy.deepcopy(batch), True)['inputs']['img']
    assert torch.equal(one, other)


def test_mixed_precision_does_not_round_views():
    plain, rounding = make(), make()
    wanted = plain(tiny_batch(4, 0), training=True)
    with torch.autocast('cpu', torch.bfloat16):
        found = rounding(tiny_batch(4, 0), training=True)
    for name, value in wanted['inputs'].items():
        assert torch.equal(found['inputs'][name], value), name
    for one, other in zip(found['data_samples'], wanted['data_samples'], strict=True):
        assert torch.equal(one.gt_map, other.gt_map)


def test_draws_are_uniform_and_distinct():
    draws = sample_draws(0, 0, range(4000), 2)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.02
    assert len({tuple(d) for d in draws.tolist()}) == 4000


def test_the_view_never_leaves_the_frame():
    draws = torch.from_numpy(sample_draws(1, 0, range(500), 8))
    theta = Augmentation(min_area=0.2, max_stretch=2).affine(draws)
    corners = torch.tensor([[x, y, 1.0] for x in (-1, 1) for y in (-1, 1)])
    at = torch.einsum('bij,cj->bci', theta, corners)
    assert at.abs().max() <= 1 + 1e-5
    area = theta[:, 0, 0].abs() * theta[:, 1, 1]
    assert area.min() >= 0.15
    assert (theta[:, 0, 0] < 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
