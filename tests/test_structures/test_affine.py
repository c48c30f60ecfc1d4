import torch
import torch.nn.functional as F

from mmxpl.structures import compose_affine, invert_affine, visible_cells, warp


def test_crop_and_flip_show_the_right_part():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    # right half, lower half
    theta = compose_affine(
        torch.tensor([[0.5, 0.5]]), torch.tensor([[0.5, 0.5]]), torch.tensor([False])
    )
    small = warp(image, theta)[..., ::3, ::3]  # corners are near the crop's corners
    assert small[0, 0, 0, 0] < small[0, 0, 0, 1] < small[0, 0, 1, 0]
    assert small.min() >= 8
    flip = compose_affine(torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([True]))
    torch.testing.assert_close(warp(image, flip), image.flip(3))


def test_warp_samples_where_pytorch_does_under_any_affine():
    generator = torch.Generator().manual_seed(0)
    theta = torch.rand(3, 2, 3, generator=generator) - 0.5
    images = torch.rand(3, 2, 5, 8, generator=generator)
    grid = F.affine_grid(theta, [3, 2, 5, 8], align_corners=False)
    expected = F.grid_sample(images, grid, padding_mode='border', align_corners=False)
    torch.testing.assert_close(warp(images, theta), expected)


def test_inverse_leads_back():
    theta = compose_affine(
        torch.tensor([[0.2, -0.3]]), torch.tensor([[0.5, 0.7]]), torch.tensor([True])
    )
    full = torch.tensor([[[0.0, 0.0, 1.0]]])
    there = torch.cat([theta, full], dim=1)
    back = torch.cat([invert_affine(theta), full], dim=1)
    torch.testing.assert_close(there @ back, torch.eye(3)[None], atol=1e-6, rtol=0)


def test_visible_cells_are_those_of_the_crop():
    # the view shows the left half: seen from the canonical frame, cells on the left
    theta = compose_affine(
        torch.tensor([[-0.5, 0.0]]), torch.tensor([[0.5, 1.0]]), torch.tensor([False])
    )
    seen = visible_cells(invert_affine(theta), (4, 4))
    assert seen[0].tolist() == [[True, True, False, False]] * 4
