import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import Conv2dAdaptivePadding

from mmxpl.models import AVDataPreprocessor, EfficientNetLite

STRIDES = (2, 2, 4, 8, 16, 32)
# of the whole networks, in millions, as their authors publish them
PUBLISHED = {'lite0': 4.7, 'lite1': 5.4, 'lite2': 6.1, 'lite3': 8.2, 'lite4': 13.0}


def same_convolution(x, conv):
    """A convolution as TensorFlow's 'same' defines it, window by window."""
    (kernel, _), (stride, _) = conv.kernel_size, conv.stride
    sizes = [-(-n // stride) for n in x.shape[2:]]
    rows, columns = (
        max((out - 1) * stride + kernel - n, 0)
        for out, n in zip(sizes, x.shape[2:], strict=True)
    )
    padded = x.new_zeros(*x.shape[:2], x.shape[2] + rows, x.shape[3] + columns)
    top, left = rows // 2, columns // 2
    padded[..., top : top + x.shape[2], left : left + x.shape[3]] = x
    out = x.new_zeros(len(x), conv.out_channels, *sizes)
    per_group = conv.in_channels // conv.groups
    for c in range(conv.out_channels):
        first = c // (conv.out_channels // conv.groups) * per_group
        for i in range(sizes[0]):
            for j in range(sizes[1]):
                window = padded[
                    :,
                    first : first + per_group,
                    i * stride : i * stride + kernel,
                    j * stride : j * stride + kernel,
                ]
                out[:, c, i, j] = (window * conv.weight[c]).sum((1, 2, 3))
    return out


@pytest.mark.parametrize('size', [(8, 9), (7, 10)])
def test_strided_convolutions_pad_as_tensorflow_does(size):
    convs = [m for m in EfficientNetLite().modules() if isinstance(m, torch.nn.Conv2d)]
    strided = [m for m in convs if m.stride == (2, 2)]
    assert [m.kernel_size[0] for m in strided] == [3, 3, 5, 3, 5]
    assert all(isinstance(m, Conv2dAdaptivePadding) for m in strided)
    for conv in strided[:3]:  # the stem and a depthwise one of each kernel
        x = torch.randn(1, conv.in_channels, *size)
        torch.testing.assert_close(
            conv(x), same_convolution(x, conv), atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize(
    ('arch', 'channels'),
    [
        ('lite0', (32, 16, 24, 40, 112, 320)),
        ('lite1', (32, 16, 24, 40, 112, 320)),
        ('lite2', (32, 16, 24, 48, 120, 352)),
        ('lite3', (32, 24, 32, 48, 136, 384)),
        ('lite4', (32, 24, 32, 56, 160, 448)),
    ],
)
def test_layers_have_the_documented_channels_and_strides(arch, channels):
    net = EfficientNetLite(arch, out_indices=range(6)).eval()
    assert net.out_channels == channels
    with torch.no_grad():
        maps = net(torch.randn(1, 3, 65, 96))
    expected = [
        (1, c, -(-65 // s), 96 // s) for c, s in zip(channels, STRIDES, strict=True)
    ]
    assert [tuple(m.shape) for m in maps] == expected
    # with the last convolution, its normalisation and the classifier
    head = channels[-1] * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    count = sum(p.numel() for p in net.parameters()) + head
    assert round(count / 1e6, 1) == PUBLISHED[arch]


def test_maps_of_chosen_layers_alone():
    net = EfficientNetLite(out_indices=(2, 4)).eval()
    assert len(net.layers) == 5  # nothing that no gradient would reach
    assert net.out_channels == (24, 112)
    whole = EfficientNetLite(out_indices=range(6)).eval()
    assert not whole.load_state_dict(net.state_dict(), strict=False).unexpected_keys
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net(x), (whole(x)[2], whole(x)[4]))


def test_weights_see_frames_as_they_were_trained():
    img = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    batch = dict(inputs=dict(img=img, audio=torch.zeros(2, 8)))
    prepared = AVDataPreprocessor(audio={}).prepare(batch)['inputs']['img']
    net = EfficientNetLite(out_indices=(0,)).eval()
    seen = []
    net.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    net(prepared)
    rgb = img.flip(1).float()
    torch.testing.assert_close(seen[0], (rgb - 127) / 128)


def test_a_block_is_expansion_depthwise_projection_and_shortcut():
    net = EfficientNetLite(out_indices=(2,)).eval()
    block = net.layers[2][1]
    x = torch.randn(2, 24, 5, 6)

    def normed(x, part):
        bn = part.bn
        assert bn.eps == 1e-3
        return F.batch_norm(
            x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-3
        )

    out = normed(F.conv2d(x, block.expand_conv.conv.weight), block.expand_conv)
    weight = block.depthwise_conv.conv.weight
    out = F.conv2d(out.clamp(0, 6), weight, padding=1, groups=len(weight))
    out = normed(out, block.depthwise_conv).clamp(0, 6)
    out = normed(F.conv2d(out, block.linear_conv.conv.weight), block.linear_conv)
    torch.testing.assert_close(block(x), x + out)


@pytest.mark.parametrize('indices', [(), (5, 4), (4, 4), (6,), (-1,)])
def test_impossible_layers_are_refused(indices):
    with pytest.raises(ValueError, match='from 0 to 5, ascending'):
        EfficientNetLite(out_indices=indices)


def test_an_unknown_arch_is_refused():
    with pytest.raises(ValueError, match="lite0, .*, lite4, got 'b0'"):
        EfficientNetLite('b0')
