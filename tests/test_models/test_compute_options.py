"""Settings that change how a localizer computes, and not what."""

import copy

import pytest
import torch
from torch import nn

import mmxpl.models  # noqa: F401
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg


def build(names=('a', 'b'), resnet=None, **localizer):
    torch.manual_seed(0)
    cfg = tiny_model_cfg()
    cfg['localizers'] = {n: dict(cfg['localizers'][n], **localizer) for n in names}
    for one in cfg['localizers'].values():
        one['visual_backbone'] = dict(one['visual_backbone'], **(resnet or {}))
    return MODELS.build(cfg)


def loss_and_grads(model):
    data = model.data_preprocessor(tiny_batch(), False)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    return loss.detach(), {n: p.grad for n, p in model.named_parameters()}


def check_equal(model, other):
    loss, grads = loss_and_grads(model)
    want, wanted = loss_and_grads(other)
    torch.testing.assert_close(loss, want)
    assert grads.keys() == wanted.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(grad, wanted[name], atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['a', 'b'])
@pytest.mark.parametrize('amp_dtype', [None, 'bfloat16'])
def test_localizers_compile_without_a_graph_break(name, amp_dtype):
    """``fullgraph=True`` raises at the first; 'eager' captures all the same."""
    torch._dynamo.reset()
    compile_cfg = dict(fullgraph=True, backend='eager')
    compiled = build([name], amp_dtype=amp_dtype, compile_cfg=compile_cfg)
    plain = build([name], amp_dtype=amp_dtype)
    check_equal(compiled, plain)
    # labels and predictions: without gradients, and batches of another size
    inputs = plain.data_preprocessor.prepare(tiny_batch())['inputs']
    inputs = {key: value[:3] for key, value in inputs.items()}
    with torch.no_grad():
        got = compiled.eval().predict_maps(inputs)[name]
        want = plain.eval().predict_maps(inputs)[name]
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    torch._dynamo.reset()


def test_compilation_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(
        nn.Module, 'compile', lambda self, **kwargs: asked.append(kwargs)
    )
    build(['a'])
    assert asked == []
    build(['a'], compile_cfg=dict(mode='default'))
    assert asked == [dict(mode='default')]


def test_activation_checkpointing_gives_the_same_gradients():
    model, other = build(resnet=dict(with_cp=True)), build()
    assert model.localizers['a'].visual_backbone.layer1[0].with_cp
    calls = []
    block = model.localizers['a'].visual_backbone.layer1[0].conv1
    block.register_forward_hook(lambda *args: calls.append(1))
    check_equal(model, other)
    assert len(calls) == 2  # the backward computes it once more


def test_copies_keep_the_options():
    model = build(amp_dtype='bfloat16', channels_last=False)
    twin = copy.deepcopy(model)
    inputs = model.data_preprocessor.prepare(tiny_batch())['inputs']
    with torch.no_grad():
        for got, want in zip(
            twin.eval().predict_maps(inputs).values(),
            model.eval().predict_maps(inputs).values(),
            strict=True,
        ):
            assert torch.equal(got, want)
