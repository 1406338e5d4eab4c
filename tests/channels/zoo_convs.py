"""Convolutions of every kind, norms, activations, pooling."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from zoo import Net, Specimen, head, image, specimen, tokens

S = nn.Sequential


@specimen
def conv2d_chain() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(), head(6)
    ), image()


@specimen
def conv1d_chain() -> Specimen:
    return S(
        nn.Conv1d(3, 8, 3),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Conv1d(8, 6, 3),
        nn.Flatten(),
        nn.Linear(36, 3),
    ), torch.randn(2, 3, 10)


@specimen
def conv3d_chain() -> Specimen:
    return S(
        nn.Conv3d(2, 6, 3, padding=1),
        nn.BatchNorm3d(6),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(6, 4, 1),
        nn.Flatten(),
        nn.Linear(32, 3),
    ), torch.randn(2, 2, 4, 4, 4)


@specimen
def transposed_conv() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 6, 2, 2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 2, 1),
    ), image()


@specimen
def transposed_conv_1d_3d() -> Specimen:
    return Net(
        lambda m, x: m.b(functional.relu(m.a(x)).unsqueeze(-1).unsqueeze(-1)).flatten(2).mean(2),
        a=nn.ConvTranspose1d(3, 6, 3),
        b=nn.ConvTranspose3d(6, 4, 2),
    ), torch.randn(2, 3, 5)


@specimen
def transposed_grouped() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 8, 2, 2, groups=4),
        nn.ReLU(),
        nn.Conv2d(8, 2, 1),
    ), image()


@specimen
def strided_dilated() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 3, 2, padding=2, dilation=2), nn.ELU(), nn.Conv2d(8, 6, 3, 2), head(6)
    ), image(3, 16)


@specimen
def same_padding() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 3, padding="same"), nn.ReLU(), nn.Conv2d(8, 6, 5, padding="same"), head(6)
    ), image()


@specimen
def circular_padding() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"),
        nn.Sigmoid(),
        nn.Conv2d(8, 6, 3, padding=1, padding_mode="reflect"),
        head(6),
    ), image()


@specimen
def grouped_conv() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, groups=4), nn.ReLU(), head(12)
    ), image()


@specimen
def resnext_block() -> Specimen:
    return Net(
        lambda m, x: m.h(
            functional.relu(m.s(x) + m.c(functional.relu(m.b2(m.b(functional.relu(m.b1(m.a(x))))))))
        ),
        s=nn.Conv2d(3, 8, 1),
        a=nn.Conv2d(3, 12, 1),
        b1=nn.BatchNorm2d(12),
        b=nn.Conv2d(12, 12, 3, padding=1, groups=3),
        b2=nn.BatchNorm2d(12),
        c=nn.Conv2d(12, 8, 1),
        h=head(8),
    ), image()


@specimen
def depthwise() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Conv2d(8, 6, 1),
        head(6),
    ), image()


@specimen
def depthwise_multiplier() -> Specimen:
    return S(
        nn.Conv2d(3, 6, 1),
        nn.ReLU(),
        nn.Conv2d(6, 18, 3, padding=1, groups=6),
        nn.ReLU(),
        nn.Conv2d(18, 5, 1),
        head(5),
    ), image()


@specimen
def inverted_residual() -> Specimen:
    return Net(
        lambda m, x: m.h(m.s(x) + m.p(functional.relu6(m.d(functional.relu6(m.e(m.s(x))))))),
        s=nn.Conv2d(3, 6, 1),
        e=nn.Conv2d(6, 18, 1),
        d=nn.Conv2d(18, 18, 3, padding=1, groups=18),
        p=nn.Conv2d(18, 6, 1),
        h=head(6),
    ), image()


@specimen
def channel_shuffle_by_hand() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        b, c, h, w = y.shape
        y = y.view(b, 3, c // 3, h, w).transpose(1, 2).reshape(b, c, h, w)
        return m.h(functional.relu(m.b(y)))

    return Net(run, a=nn.Conv2d(3, 12, 1), b=nn.Conv2d(12, 12, 3, groups=3), h=head(12)), image()


@specimen
def channel_shuffle_module() -> Specimen:
    return S(
        nn.Conv2d(3, 12, 1),
        nn.ReLU(),
        nn.ChannelShuffle(3),
        nn.Conv2d(12, 12, 3, groups=3),
        nn.ReLU(),
        head(12),
    ), image()


@specimen
def pixel_shuffle() -> Specimen:
    return S(
        nn.Conv2d(3, 24, 3), nn.PixelShuffle(2), nn.ReLU(), nn.Conv2d(6, 4, 3), head(4)
    ), image()


@specimen
def pixel_unshuffle() -> Specimen:
    return S(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.PixelUnshuffle(2), nn.Conv2d(24, 4, 1), head(4)
    ), image()


@specimen
def batch_norm_pre_activation() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3),
        nn.BatchNorm2d(6),
        head(6),
    ), image()


@specimen
def batch_norm_no_affine() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8, affine=False), nn.ReLU(), nn.Conv2d(8, 6, 3), head(6)
    ), image()


@specimen
def group_norm() -> Specimen:
    return S(
        nn.Conv2d(3, 12, 1), nn.GroupNorm(4, 12), nn.ReLU(), nn.Conv2d(12, 6, 3), head(6)
    ), image()


@specimen
def group_norm_no_affine() -> Specimen:
    return S(
        nn.Conv2d(3, 12, 1),
        nn.GroupNorm(4, 12, affine=False),
        nn.ReLU(),
        nn.Conv2d(12, 6, 3),
        head(6),
    ), image()


@specimen
def group_norm_functional() -> Specimen:
    return Net(
        lambda m, x: m.h(functional.relu(m.b(functional.relu(functional.group_norm(m.a(x), 4))))),
        a=nn.Conv2d(3, 12, 1),
        b=nn.Conv2d(12, 6, 3),
        h=head(6),
    ), image()


@specimen
def instance_norm() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.InstanceNorm2d(8, affine=True),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3),
        head(6),
    ), image()


@specimen
def instance_norm_plain() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1), nn.InstanceNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), head(6)
    ), image()


@specimen
def layer_norm_chw() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.LayerNorm([8, 8, 8]),
        nn.Conv2d(8, 6, 3),
        nn.ReLU(),
        nn.Conv2d(6, 4, 1),
        head(4),
    ), image()


@specimen
def convnext_block() -> Specimen:
    def run(m, x):
        y = m.d(m.s(x)).permute(0, 2, 3, 1)
        y = m.p2(functional.gelu(m.p1(m.n(y)))) * m.gamma
        return m.h(m.s(x) + y.permute(0, 3, 1, 2))

    return Net(
        run,
        s=nn.Conv2d(3, 8, 2, 2),
        d=nn.Conv2d(8, 8, 3, padding=1, groups=8),
        n=nn.LayerNorm(8),
        p1=nn.Linear(8, 16),
        p2=nn.Linear(16, 8),
        gamma=nn.Parameter(torch.rand(8)),
        h=head(8),
    ), image()


@specimen
def prelu_per_channel() -> Specimen:
    return S(nn.Conv2d(3, 8, 1), nn.PReLU(8), nn.Conv2d(8, 6, 3), nn.PReLU(), head(6)), image()


@specimen
def smooth_activations() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.SiLU(),
        nn.Conv2d(8, 8, 1),
        nn.Mish(),
        nn.Conv2d(8, 8, 3),
        nn.Hardswish(),
        nn.Conv2d(8, 6, 1),
        nn.Softplus(),
        head(6),
    ), image()


@specimen
def sigmoid_without_padding() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.Sigmoid(),
        nn.Conv2d(8, 6, 3),
        nn.Hardsigmoid(),
        nn.Conv2d(6, 4, 1),
        head(4),
    ), image()


@specimen
def sigmoid_before_padding() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1), nn.Sigmoid(), nn.Conv2d(8, 6, 3, padding=1), nn.ReLU(), head(6)
    ), image()


@specimen
def inplace_activations() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 6, 3),
        nn.SiLU(inplace=True),
        head(6),
    ), image()


@specimen
def pools() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 1),
        nn.AvgPool2d(2, padding=1),
        nn.LPPool2d(2, 1),
        nn.Conv2d(8, 6, 1),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    ), image()


@specimen
def max_pool_with_indices() -> Specimen:
    def run(m, x):
        y, where = functional.max_pool2d(m.a(x), 2, return_indices=True)
        return m.h(m.b(functional.max_unpool2d(functional.relu(y), where, 2)))

    return Net(run, a=nn.Conv2d(3, 8, 1), b=nn.Conv2d(8, 6, 3), h=head(6)), image()


@specimen
def interpolations() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, 6, 3),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(6, 4, 1),
        head(4),
    ), image()


@specimen
def flatten_chw() -> Specimen:
    return S(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 8), nn.ReLU(), nn.Linear(8, 3)
    ), image()


@specimen
def flatten_nhwc() -> Specimen:
    return Net(
        lambda m, x: m.b(functional.relu(m.a(x)).permute(0, 2, 3, 1).flatten(1)),
        a=nn.Conv2d(3, 6, 3),
        b=nn.Linear(216, 5),
    ), image()


@specimen
def view_with_constants() -> Specimen:
    return Net(
        lambda m, x: m.c(functional.relu(m.b(functional.relu(m.a(x)).view(-1, 216)))),
        a=nn.Conv2d(3, 6, 3),
        b=nn.Linear(216, 8),
        c=nn.Linear(8, 3),
    ), image()


@specimen
def view_with_sizes() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.b(y.view(y.size(0), y.size(1) * y.size(2) * y.size(3)))

    return Net(run, a=nn.Conv2d(3, 6, 3), b=nn.Linear(216, 5)), image()


@specimen
def view_with_attribute() -> Specimen:
    return Net(
        lambda m, x: m.c(functional.relu(m.b(functional.relu(m.a(x)).view(-1, m.features)))),
        a=nn.Conv2d(3, 6, 3),
        b=nn.Linear(216, 8),
        c=nn.Linear(8, 3),
        features=216,
    ), image()


@specimen
def weight_norm() -> Specimen:
    return S(
        parametrizations.weight_norm(nn.Conv2d(3, 8, 3)),
        nn.ReLU(),
        nn.Conv2d(8, 6, 1),
        nn.ReLU(),
        head(6),
    ), image()


@specimen
def weight_norm_chain() -> Specimen:
    return S(
        parametrizations.weight_norm(nn.Linear(5, 8)),
        nn.ReLU(),
        nn.Linear(8, 8),
        nn.ReLU(),
        parametrizations.weight_norm(nn.Linear(8, 3)),
    ), torch.randn(2, 5)


@specimen
def spectral_norm() -> Specimen:
    return S(
        parametrizations.spectral_norm(nn.Linear(5, 8)),
        nn.ReLU(),
        nn.Linear(8, 6),
        nn.ReLU(),
        nn.Linear(6, 3),
    ), torch.randn(2, 5)


@specimen
def weight_standardisation() -> Specimen:
    def run(m, x):
        w = m.a.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)
        return m.h(functional.relu(m.b(functional.relu(functional.conv2d(x, w, m.a.bias)))))

    return Net(run, a=nn.Conv2d(3, 8, 3), b=nn.Conv2d(8, 6, 1), h=head(6)), image()


@specimen
def unfold_by_hand() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        patches = functional.unfold(y, 3)
        return m.b(patches.transpose(1, 2)).mean(1)

    return Net(run, a=nn.Conv2d(3, 6, 1), b=nn.Linear(54, 5)), image()


@specimen
def fold_by_hand() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x)).flatten(2)
        return m.b(functional.fold(y, (16, 16), 2, stride=2))

    return Net(run, a=nn.Conv2d(3, 24, 1), b=nn.Conv2d(6, 4, 1)), image()


@specimen
def local_response() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1), nn.LocalResponseNorm(3), nn.Conv2d(8, 6, 1), nn.ReLU(), head(6)
    ), image()


@specimen
def dropouts() -> Specimen:
    return S(
        nn.Conv2d(3, 8, 1),
        nn.Dropout2d(),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(216, 3),
    ), image()


@specimen
def unbatched_image() -> Specimen:
    return S(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 3)), torch.randn(3, 8, 8)


@specimen
def token_conv() -> Specimen:
    return Net(
        lambda m, x: m.b(functional.relu(m.a(x.transpose(1, 2)))).transpose(1, 2),
        a=nn.Conv1d(12, 8, 3, padding=1),
        b=nn.Conv1d(8, 4, 1),
    ), tokens()


@specimen
def separable_3d_depthwise() -> Specimen:
    return S(
        nn.Conv3d(2, 4, 1),
        nn.ReLU(),
        nn.Conv3d(4, 4, 3, padding=1, groups=4),
        nn.ReLU(),
        nn.Conv3d(4, 2, 1),
    ), torch.randn(1, 2, 4, 4, 4)
