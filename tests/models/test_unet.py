from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from headstart.models.unet import LEVELS, MULTIPLE, UNet


def net(num_classes: int = 3, width: int = 2, **more: int) -> UNet:
    """A network whose batch norms have seen something, in evaluation."""
    torch.manual_seed(0)
    model = UNet(num_classes, width, **more)
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(4, model.mean.shape[0], 16, 24))
    return model.eval()


# --- the assignment's network ---


def test_the_assignments_network_has_its_size():
    assert sum(p.numel() for p in UNet(6, 32).parameters()) == 2_443_046


def _weights(num_classes: int, w: int, c: int) -> int:
    def stage(i: int, o: int) -> int:
        return 9 * i * o + 9 * o * o + 4 * o  # two convolutions, two batch norms

    down = stage(c, w) + stage(w, 2 * w) + stage(2 * w, 4 * w) + stage(4 * w, 8 * w)
    transposed = 16 * (8 * w * 4 * w + 4 * w * 2 * w + 2 * w * w)
    up = stage(8 * w, 4 * w) + stage(4 * w, 2 * w) + stage(2 * w, w)
    return down + transposed + up + num_classes * (w + 1)


@pytest.mark.parametrize(("k", "width", "channels"), [(6, 32, 3), (2, 4, 3), (1, 1, 1), (8, 3, 2)])
def test_weights_counted_by_hand(k, width, channels):
    found = sum(p.numel() for p in UNet(k, width, channels).parameters())
    assert found == _weights(k, width, channels)


def test_layers_are_the_assignments():
    model = UNet(6, 32)
    assert (LEVELS, MULTIPLE) == (4, 8)
    stages = [*model.encoder, *model.decoder]
    for stage, channels in zip(stages, (32, 64, 128, 256, 128, 64, 32), strict=True):
        kinds = [type(m) for m in stage]
        assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU] * 2
        for m in stage:
            if isinstance(m, nn.Conv2d):
                assert (m.kernel_size, m.padding, m.stride) == ((3, 3), (1, 1), (1, 1))
                assert m.out_channels == channels
                assert m.bias is None
            if isinstance(m, nn.LeakyReLU):
                assert m.negative_slope == 0.1
    for up, channels in zip(model.up, (128, 64, 32), strict=True):
        assert isinstance(up, nn.ConvTranspose2d)
        assert (up.kernel_size, up.stride, up.padding) == ((4, 4), (2, 2), (1, 1))
        assert (up.in_channels, up.out_channels, up.bias) == (2 * channels, channels, None)
    assert model.head.kernel_size == (1, 1)
    assert model.head.bias is not None


def test_the_order_of_the_computation():
    """Written out once more, straight from the assignment."""
    model, x = net(), torch.rand(2, 3, 16, 24)
    a = model.encoder[0](x)
    b = model.encoder[1](F.max_pool2d(a, 2))
    c = model.encoder[2](F.max_pool2d(b, 2))
    y = model.encoder[3](F.max_pool2d(c, 2))
    for up, stage, skip in zip(model.up, model.decoder, (c, b, a), strict=True):
        y = stage(torch.cat((torch.relu(up(y)), skip), 1))
    assert torch.equal(model(x), model.head(y))


def test_names_of_the_weights():
    """Saved runs and starts are read by these names."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    stage = ["0.weight", "3.weight", *(f"{i}.{name}" for i in (1, 4) for name in norm)]
    expected = {
        "mean", "std", "head.weight", "head.bias",
        *(f"up.{i}.weight" for i in range(3)),
        *(f"encoder.{i}.{name}" for i in range(4) for name in stage),
        *(f"decoder.{i}.{name}" for i in range(3) for name in stage),
    }  # fmt: skip
    assert set(UNet(3, 2).state_dict()) == expected
    assert len(expected) == 91


# --- sizes ---


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=25)
def test_any_size_in_the_same_size_out(height, width):
    assert net()(torch.rand(1, 3, height, width)).shape == (1, 3, height, width)


def test_odd_sizes_are_padded_by_repeating_the_border_and_cropped():
    model, x = net(), torch.rand(2, 3, 17, 23)
    rows, columns = torch.arange(24).clamp(max=16), torch.arange(24).clamp(max=22)
    padded = x[:, :, rows][..., columns]
    assert torch.equal(model(x), model(padded)[..., :17, :23])


def test_multiples_of_eight_are_not_padded(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("padded")

    model = net()
    monkeypatch.setattr(F, "pad", refuse)
    model(torch.rand(1, 3, 24, 40))
    with pytest.raises(AssertionError, match="padded"):
        model(torch.rand(1, 3, 24, 41))


# --- weights ---


def test_gradients_reach_every_weight():
    torch.manual_seed(0)
    model = UNet(3, 4)
    F.cross_entropy(model(torch.rand(2, 3, 16, 24)), torch.randint(0, 3, (2, 16, 24))).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name


def test_standardised_inside_as_outside():
    inside, outside = net(), net()
    mean, std = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.1, 0.3])
    inside.mean.copy_(mean[:, None, None])
    inside.std.copy_(std[:, None, None])
    for size in ((16, 24), (17, 23)):
        x = torch.rand(2, 3, *size)
        expected = outside((x - mean[:, None, None]) / std[:, None, None])
        assert torch.allclose(inside(x), expected, atol=1e-5)
        assert not torch.allclose(inside(x), outside(x))


def test_mean_and_std_are_saved_but_not_trained():
    model = net()
    assert {name for name, _ in model.named_buffers()} >= {"mean", "std"}
    assert not {"mean", "std"} & {name for name, _ in model.named_parameters()}
    other = UNet(3, 2)
    model.mean.fill_(0.25)
    other.load_state_dict(model.state_dict())
    assert (other.mean == 0.25).all()
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(other.eval()(x), model(x))


def test_frames_do_not_see_each_other_in_evaluation():
    model, x = net(), torch.rand(3, 3, 16, 24)
    together = model(x)
    assert torch.allclose(together, torch.cat([model(frame[None]) for frame in x]), atol=1e-6)


@pytest.mark.parametrize("argument", ["num_classes", "width", "in_channels"])
def test_counts_below_one_are_refused(argument):
    with pytest.raises(ValueError, match=f"{argument} is 0, expected at least 1"):
        UNet(**{"num_classes": 3, "width": 2, argument: 0})
