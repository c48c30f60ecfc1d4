"""MaxMIL, LVS, SLAVC and FNAC against loops over images, sounds and cells."""

import math

import pytest
import torch
from mmengine.logging import MessageHub

from mmxpl.models.losses import FNACLoss, LVSLoss, MaxMILContrastiveLoss, SLAVCLoss
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg

SIZE, CELLS = 4, 6
LOSSES = (LVSLoss, SLAVCLoss, FNACLoss)


def embeddings(seed=0):
    generator = torch.Generator().manual_seed(seed)
    visual = torch.randn(SIZE, 8, 2, 3, generator=generator)
    audio = torch.randn(SIZE, 8, generator=generator)
    normal = torch.nn.functional.normalize
    return normal(visual, dim=1), normal(audio, dim=1)


def cosines(visual, audio):
    """Image i, sound j, cell x as nested lists."""
    cells = visual.flatten(2).double()
    return [
        [
            [float(cells[i, :, x] @ audio[j].double()) for x in range(CELLS)]
            for j in range(SIZE)
        ]
        for i in range(SIZE)
    ]


def softmax(values):
    powers = [math.exp(v - max(values)) for v in values]
    return [p / sum(powers) for p in powers]


def cross_entropy(rows):
    """Mean over rows whose n-th value is the logit of the truth."""
    return -sum(math.log(softmax(row)[i]) for i, row in enumerate(rows)) / len(rows)


def slow_lvs(visual, audio, high=0.3, low=0.1, width=0.05, temperature=0.07):
    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    maps, rows = cosines(visual, audio), []
    for i in range(SIZE):
        row = []
        for j in range(SIZE):
            mask = [sigmoid((s - high) / width) for s in maps[i][j]]
            mean = sum(m * s for m, s in zip(mask, maps[i][j], strict=True)) / sum(mask)
            row.append(mean / temperature)
        mask = [1 - sigmoid((s - low) / width) for s in maps[i][i]]
        mean = sum(m * s for m, s in zip(mask, maps[i][i], strict=True)) / sum(mask)
        rows.append([*row, mean / temperature])
    return cross_entropy(rows)


def slow_slavc(visual, audio, target_visual, target_audio, temperature=0.2):
    total = 0.0
    for v, a in ((visual, target_audio), (target_visual, audio)):
        maps, rows = cosines(v, a), []
        for i in range(SIZE):
            row = []
            for j in range(SIZE):
                over_cells = softmax([s / temperature for s in maps[i][j]])
                explained = 0.0
                for x in range(CELLS):
                    over_sounds = softmax(
                        [maps[i][k][x] / temperature for k in range(SIZE)]
                    )
                    explained += over_sounds[j] * over_cells[x]
                row.append(math.log(explained))
            rows.append(row)
        total += cross_entropy(rows)
    return total / 2


def slow_fnac(visual, audio, weights, temperature=0.2):
    maps = cosines(visual, audio)
    rows = [[max(maps[i][j]) / temperature for j in range(SIZE)] for i in range(SIZE)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    cells = visual.flatten(2).double()
    seen, region = torch.zeros(SIZE, 8).double(), torch.zeros(SIZE, 8).double()
    for i in range(SIZE):
        low, high = min(maps[i][i]), max(maps[i][i])
        for x in range(CELLS):
            seen[i] += cells[i, :, x] / CELLS
            if (maps[i][i][x] - low) / (high - low) > 0.6:
                region[i] += cells[i, :, x] / CELLS

    def affinity(features):
        return [
            softmax([float(a @ b) / temperature for b in features]) for a in features
        ]

    def distance(left, right):
        gaps = [
            abs(x - y)
            for row, other in zip(left, right, strict=True)
            for x, y in zip(row, other, strict=True)
        ]
        return sum(gaps) / len(gaps)

    heard, paired = affinity(audio.double()), [softmax(row) for row in rows]
    terms = dict(
        audio=distance(heard, paired),
        image=distance(affinity(seen), paired),
        region=distance(heard, affinity(region)),
    )
    total = cross_entropy(rows) + cross_entropy(columns)
    return (total + sum(weights[k] * term for k, term in terms.items())) / 2


def test_lvs_equals_a_slow_reference():
    loss = LVSLoss(object=0.3, background=0.1, sharpness=0.05, loss_weight=2.0)
    expected = 2 * slow_lvs(*embeddings())
    assert loss(*embeddings()).item() == pytest.approx(expected, rel=1e-4)


def test_lvs_teaches_the_background_of_its_own_sound():
    # one image, one sound: the only negative is the image's own background
    visual = torch.zeros(1, 2, 1, 2)
    visual[0, :, 0, 0] = torch.tensor([0.8, 0.6])
    visual[0, :, 0, 1] = torch.tensor([0.2, 0.98**0.5])
    visual.requires_grad_()
    LVSLoss()(visual, torch.tensor([[1.0, 0.0]])).backward()
    toward_sound = visual.grad[0, 0, 0]
    assert toward_sound[0] < 0 < toward_sound[1]


@pytest.mark.parametrize('momentum', [False, True])
def test_slavc_equals_a_slow_reference(momentum):
    visual, audio = embeddings()
    targets = embeddings(seed=1) if momentum else (visual, audio)
    loss = SLAVCLoss(temperature=0.2)
    given = loss(visual, audio, *(targets if momentum else ()))
    expected = slow_slavc(visual, audio, *targets)
    assert given.item() == pytest.approx(expected, rel=1e-4)


def test_slavc_sends_nothing_into_its_targets():
    targets = [x.requires_grad_() for x in embeddings(seed=1)]
    visual, audio = (x.requires_grad_() for x in embeddings())
    SLAVCLoss()(visual, audio, *targets).backward()
    assert all(target.grad is None for target in targets)
    assert visual.grad.abs().sum() > 0
    assert audio.grad.abs().sum() > 0


def test_fnac_equals_a_slow_reference():
    weights = dict(audio=10.0, image=20.0, region=5.0)
    loss = FNACLoss(temperature=0.2, **weights)
    expected = slow_fnac(*embeddings(), weights)
    assert loss(*embeddings()).item() == pytest.approx(expected, rel=1e-4)


def test_fnac_is_the_contrast_alone_in_its_warm_up():
    hub = MessageHub.get_current_instance()
    loss, plain = FNACLoss(0.2, warmup_epochs=2), MaxMILContrastiveLoss(0.2)
    try:
        for epoch, alone in ((1, True), (2, False)):
            hub.update_info('epoch', epoch)
            gap = float(loss(*embeddings()) - plain(*embeddings()))
            assert (abs(gap) < 1e-6) == alone
    finally:
        hub.update_info('epoch', 0)


def test_fnac_asks_clips_that_sound_alike_to_be_alike():
    distinct = torch.eye(4, 8)
    same = distinct.clone()
    same[1] = same[0]  # clips 0 and 1 sound the same

    def penalty(audio, image):
        visual = image[:, :, None, None].expand(-1, -1, 2, 2)
        losses = [
            float(FNACLoss(0.5, audio=w, image=0, region=0)(visual, audio))
            for w in (0.0, 100.0)
        ]
        return losses[1] - losses[0]

    assert penalty(same, same) == pytest.approx(0, abs=1e-4)
    assert penalty(same, distinct) > 1
    assert penalty(distinct, distinct) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize('loss', LOSSES)
def test_gradients(loss):
    visual, audio = (x.double().requires_grad_() for x in embeddings(seed=2))
    # the losses compute in fp32: finite differences along one direction
    module = loss(temperature=0.5)
    module(visual, audio).backward()
    for given in (visual, audio):
        direction = torch.randn(
            given.shape, generator=torch.Generator().manual_seed(3)
        ).double()
        step, values = 1e-3, []
        for sign in (1, -1):
            moved = [
                x.detach() + (sign * step * direction if x is given else 0)
                for x in (visual, audio)
            ]
            if loss is SLAVCLoss:  # whose targets stand still
                moved += [visual.detach(), audio.detach()]
            values.append(module(*moved).item())
        slope = (values[0] - values[1]) / (2 * step)
        assert float((given.grad * direction).sum()) == pytest.approx(
            slope, rel=0.02, abs=2e-3
        )


@pytest.mark.parametrize('loss', LOSSES)
def test_true_pairs_are_better_than_exchanged_ones(loss):
    audio = torch.eye(4, 8)
    visual = torch.zeros(4, 8, 3, 3)
    visual[:, 7] = 1  # background
    visual[:, 7, 1, 2], visual[:, :4, 1, 2] = 0, audio[:, :4]
    assert loss()(visual, audio) < loss()(visual, audio.flip(0))


def test_momentum_encoders_give_targets_and_follow_the_localizers():
    torch.manual_seed(0)
    model = MODELS.build(
        tiny_model_cfg(loss_contrastive=dict(type='SLAVCLoss'), target_momentum=0.75)
    )
    model.train()
    given = []
    compute = model.loss_contrastive.forward
    model.loss_contrastive.forward = lambda *args, **targets: (
        given.append((args, targets)) or compute(*args, **targets)
    )
    data = model.data_preprocessor(tiny_batch(), False)
    losses = model(**data, mode='loss')
    # the first step begins with a copy
    for (visual, audio), targets in given:
        torch.testing.assert_close(targets['target_visual'], visual)
        torch.testing.assert_close(targets['target_audio'], audio)
        assert not targets['target_visual'].requires_grad
    model.parse_losses(losses)[0].backward()
    before = {k: v.detach().clone() for k, v in model.localizers.named_parameters()}
    with torch.no_grad():
        for weight in model.localizers.parameters():
            weight -= 0.1 * (weight.grad if weight.grad is not None else 0)
    model(**data, mode='loss')
    followed = dict(model.momentum_encoders.module.named_parameters())
    for name, weight in model.localizers.named_parameters():
        torch.testing.assert_close(
            followed[name], 0.75 * before[name] + 0.25 * weight, msg=name
        )
        assert followed[name].grad is None
    assert any('momentum_encoders' in key for key in model.state_dict())


def test_visual_dropout_is_for_training_alone():
    cfg = tiny_model_cfg()
    cfg['localizers']['a'] = dict(cfg['localizers']['a'], visual_dropout=0.9)
    torch.manual_seed(0)
    model = MODELS.build(cfg).eval()
    inputs = model.data_preprocessor(tiny_batch())['inputs']
    localizer = model.localizers['a']
    assert torch.equal(localizer(inputs).visual, localizer(inputs).visual)
    localizer.train()
    assert not torch.allclose(localizer(inputs).visual, localizer(inputs).visual)


def test_contrastive_equals_a_slow_reference():
    visual = torch.nn.functional.normalize(torch.randn(4, 8, 3, 3), dim=1)
    audio = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    temperature, total = 0.1, 0.0

    def best(i, j):
        return max(
            (visual[i, :, r, c] * audio[j]).sum().item() / temperature
            for r in range(3)
            for c in range(3)
        )

    for i in range(4):
        rows = sum(math.exp(best(i, j)) for j in range(4))
        columns = sum(math.exp(best(j, i)) for j in range(4))
        total -= math.log(math.exp(best(i, i)) / rows)
        total -= math.log(math.exp(best(i, i)) / columns)
    loss = MaxMILContrastiveLoss(temperature, loss_weight=2.0)(visual, audio)
    assert loss.item() == pytest.approx(2 * total / 8, rel=1e-4)


def test_contrastive_is_low_for_true_pairs():
    audio = torch.eye(4, 8)
    visual = torch.zeros(4, 8, 3, 3)
    visual[:, 7] = 1  # background
    visual[:, :, 1, 2] = audio
    loss = MaxMILContrastiveLoss()
    assert loss(visual, audio) < 0.01 < loss(visual, audio.flip(0))


@pytest.mark.parametrize(
    'settings', [dict(foreground=2), dict(audio=-1), dict(region=-1)]
)
def test_settings_of_fnac_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=f'^{next(iter(settings))} must'):
        FNACLoss(**settings)
