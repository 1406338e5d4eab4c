"""Where channels meet and part: residuals, concatenations, slices, gates, sharing."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from zoo import Net, Specimen, head, image, specimen

S = nn.Sequential


def conv(a: int, b: int, k: int = 1) -> nn.Conv2d:
    return nn.Conv2d(a, b, k, padding=k // 2)


class OptionA(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x):
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


@specimen
def residual() -> Specimen:
    return Net(
        lambda m, x: m.h(
            functional.relu(m.a(x) + m.c(functional.relu(m.b(functional.relu(m.a(x))))))
        ),
        a=conv(3, 8),
        b=conv(8, 6, 3),
        c=conv(6, 8, 3),
        h=head(8),
    ), image()


@specimen
def residual_identity_of_input() -> Specimen:
    return Net(
        lambda m, x: m.h(x + m.b(functional.relu(m.a(x)))), a=conv(3, 8), b=conv(8, 3), h=head(3)
    ), image()


@specimen
def option_a_attributes() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(functional.relu(m.s(y) + m.b(y)))

    return Net(run, a=conv(3, 6), b=nn.Conv2d(6, 12, 3, 2, 1), s=OptionA(2, 4), h=head(12)), image()


@specimen
def option_a_symmetric() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(
            functional.relu(functional.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, m.p, m.p)) + m.b(y))
        )

    return Net(run, a=conv(3, 6), b=nn.Conv2d(6, 12, 3, 2, 1), p=3, h=head(12)), image()


@specimen
def option_a_literal() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(functional.relu(functional.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 3, 3)) + m.b(y)))

    return Net(run, a=conv(3, 6), b=nn.Conv2d(6, 12, 3, 2, 1), h=head(12)), image()


@specimen
def zeros_concatenated() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        z = torch.zeros(y.shape[0], m.extra, y.shape[2], y.shape[3], dtype=y.dtype)
        return m.h(functional.relu(torch.cat([y, z], 1) + m.b(y)))

    return Net(run, a=conv(3, 6), b=conv(6, 10), extra=4, h=head(10)), image()


@specimen
def zeros_assigned() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        z = torch.zeros(y.shape[0], 10, y.shape[2], y.shape[3], dtype=y.dtype)
        z[:, :6] = y
        return m.h(functional.relu(z + m.b(y)))

    return Net(run, a=conv(3, 6), b=S(conv(6, 7), nn.ReLU(), conv(7, 10)), h=head(10)), image()


@specimen
def dense_block() -> Specimen:
    def run(m, x):
        x = m.a(x)
        x = torch.cat([x, functional.relu(m.b(x))], 1)
        x = torch.cat([x, functional.relu(m.c(x))], 1)
        return m.h(m.n(x))

    return Net(
        run, a=conv(3, 4), b=conv(4, 5, 3), c=conv(9, 6, 3), n=nn.BatchNorm2d(15), h=head(15)
    ), image()


@specimen
def inception() -> Specimen:
    return Net(
        lambda m, x: m.h(
            functional.relu(torch.cat([m.a(x), m.b(x), m.c(functional.max_pool2d(x, 3, 1, 1))], 1))
        ),
        a=conv(3, 4),
        b=conv(3, 5, 3),
        c=conv(3, 3),
        h=head(12),
    ), image()


@specimen
def concat_then_add() -> Specimen:
    return Net(
        lambda m, x: m.h(functional.relu(torch.cat([m.a(x), m.b(x)], 1) + m.c(x))),
        a=conv(3, 4),
        b=conv(3, 5),
        c=conv(3, 9, 3),
        h=head(9),
    ), image()


@specimen
def stacked_branches() -> Specimen:
    return Net(
        lambda m, x: m.h(torch.stack([m.a(x), m.b(x)]).sum(0)),
        a=conv(3, 6),
        b=conv(3, 6, 3),
        h=head(6),
    ), image()


@specimen
def selective_kernel() -> Specimen:
    def run(m, x):
        u = torch.stack([m.a(x), m.b(x)], 1)
        w = m.f(u.sum(1).mean((2, 3))).view(x.shape[0], 2, -1).softmax(1)
        return m.h((u * w[..., None, None]).sum(1))

    return Net(run, a=conv(3, 6), b=conv(3, 6, 3), f=nn.Linear(6, 12), h=head(6)), image()


@specimen
def chunked_halves() -> Specimen:
    def run(m, x):
        a, b = functional.relu(m.a(x)).chunk(2, 1)
        return m.h(torch.cat([m.b(a), b], 1))

    return Net(run, a=conv(3, 8), b=conv(4, 6), h=head(10)), image()


@specimen
def split_sizes() -> Specimen:
    def run(m, x):
        a, b = functional.relu(m.a(x)).split([3, 5], 1)
        return m.h(torch.cat([m.b(a), m.c(b)], 1))

    return Net(run, a=conv(3, 8), b=S(conv(3, 6), nn.ReLU()), c=conv(5, 4), h=head(10)), image()


@specimen
def split_by_attribute() -> Specimen:
    def run(m, x):
        a, b = functional.relu(m.a(x)).split([m.first, m.second], 1)
        return m.h(torch.cat([m.b(a), m.c(b)], 1))

    return Net(
        run, a=conv(3, 8), b=conv(3, 6), c=conv(5, 4), first=3, second=5, h=head(10)
    ), image()


@specimen
def sliced_halves() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        n = y.shape[1] // 2
        return m.h(torch.cat([m.b(y[:, :n]), y[:, n:]], 1))

    return Net(run, a=conv(3, 8), b=conv(4, 6), h=head(10)), image()


@specimen
def sliced_by_literals() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(torch.cat([m.b(y[:, :3]), m.c(y[:, 3:])], 1))

    return Net(run, a=conv(3, 8), b=S(conv(3, 6), nn.ReLU()), c=conv(5, 4), h=head(10)), image()


@specimen
def strided_channel_slice() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(m.b(y[:, ::2]) + m.c(y[:, 1::2]))

    return Net(run, a=conv(3, 8), b=conv(4, 6), c=conv(4, 6), h=head(6)), image()


@specimen
def one_channel_taken() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(m.b(y) * y[:, 0:1].sigmoid())

    return Net(run, a=conv(3, 8), b=conv(8, 6), h=head(6)), image()


@specimen
def indexed_permutation() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(m.b(y[:, [2, 0, 1, 3, 5, 4]]))

    return Net(run, a=conv(3, 6), b=S(conv(6, 5), nn.ReLU(), conv(5, 4)), h=head(4)), image()


@specimen
def indexed_by_buffer() -> Specimen:
    class Shuffle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("order", torch.tensor([2, 0, 1, 3, 5, 4]))

        def forward(self, x):
            return x.index_select(1, self.order)

    return S(conv(3, 6), nn.ReLU(), Shuffle(), conv(6, 5), nn.ReLU(), head(5)), image()


@specimen
def rolled_and_flipped() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        y = torch.roll(y, (1, 2), (2, 3)).flip(3)
        return m.h(m.b(y))

    return Net(run, a=conv(3, 8), b=conv(8, 6), h=head(6)), image()


@specimen
def rolled_channels() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(m.b(y + torch.roll(m.c(x), 2, 1)))

    return Net(run, a=conv(3, 8), c=conv(3, 8), b=S(conv(8, 6), nn.ReLU()), h=head(6)), image()


@specimen
def repeated_channels() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(m.b(y.repeat(1, 2, 1, 1)) + m.c(y.repeat_interleave(2, 1)))

    return Net(run, a=conv(3, 5), b=conv(10, 6), c=conv(10, 6), h=head(6)), image()


@specimen
def squeeze_excite() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        s = m.g2(functional.relu(m.g1(y.mean((2, 3), keepdim=True)))).sigmoid()
        return m.h(m.b(y * s))

    return Net(run, a=conv(3, 8), g1=conv(8, 4), g2=conv(4, 8), b=conv(8, 6), h=head(6)), image()


@specimen
def squeeze_excite_linear() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        b, c, _, _ = y.size()
        s = m.g(functional.adaptive_avg_pool2d(y, 1).view(b, c)).view(b, c, 1, 1)
        return m.h(m.b(y * s.expand_as(y)))

    return Net(
        run,
        a=conv(3, 8),
        g=S(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8), nn.Sigmoid()),
        b=conv(8, 6),
        h=head(6),
    ), image()


@specimen
def spatial_gate() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(m.b(y * m.g(y).sigmoid()))

    return Net(run, a=conv(3, 8), g=conv(8, 1), b=conv(8, 6), h=head(6)), image()


@specimen
def spatial_mean_max_gate() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        g = m.g(torch.cat([y.mean(1, keepdim=True), y.amax(1, keepdim=True)], 1)).sigmoid()
        return m.h(functional.relu(m.b(y * g)))

    return Net(
        run, a=conv(3, 8), g=conv(2, 1), b=S(conv(8, 6), nn.ReLU(), conv(6, 5)), h=head(5)
    ), image()


@specimen
def glu_conv() -> Specimen:
    return S(nn.Conv2d(3, 12, 3), nn.GLU(1), nn.Conv2d(6, 5, 1), nn.ReLU(), head(5)), image()


@specimen
def glu_by_hand() -> Specimen:
    def run(m, x):
        a, b = m.a(x).chunk(2, dim=-1)
        return m.b(a * functional.gelu(b))

    return Net(run, a=nn.Linear(6, 16), b=nn.Linear(8, 3)), torch.randn(2, 6)


@specimen
def swiglu() -> Specimen:
    return Net(
        lambda m, x: m.o(functional.silu(m.g(x)) * m.u(x)),
        g=nn.Linear(6, 9, bias=False),
        u=nn.Linear(6, 9, bias=False),
        o=nn.Linear(9, 4, bias=False),
    ), torch.randn(2, 6)


@specimen
def scaled_by_parameter() -> Specimen:
    return Net(
        lambda m, x: m.h(m.b(functional.relu(m.a(x) * m.g + m.s.view(1, -1, 1, 1)))),
        a=conv(3, 8),
        b=conv(8, 6),
        g=nn.Parameter(torch.rand(1, 8, 1, 1)),
        s=nn.Parameter(torch.rand(8)),
        h=head(6),
    ), image()


@specimen
def raw_parameters() -> Specimen:
    return Net(
        lambda m, x: functional.linear(functional.relu(x @ m.w1 + m.b1), m.w2),
        w1=nn.Parameter(torch.randn(5, 8)),
        b1=nn.Parameter(torch.randn(8)),
        w2=nn.Parameter(torch.randn(3, 8)),
    ), torch.randn(2, 5)


@specimen
def raw_conv_parameters() -> Specimen:
    return Net(
        lambda m, x: m.h(functional.relu(functional.conv2d(x, m.w, m.b, padding=1))),
        w=nn.Parameter(torch.randn(6, 3, 3, 3)),
        b=nn.Parameter(torch.randn(6)),
        h=head(6),
    ), image()


@specimen
def low_rank_update() -> Specimen:
    return Net(
        lambda m, x: m.o(functional.relu(functional.linear(x, m.l.weight + m.b @ m.a, m.l.bias))),
        l=nn.Linear(6, 8),
        o=nn.Linear(8, 3),
        a=nn.Parameter(torch.randn(2, 6)),
        b=nn.Parameter(torch.randn(8, 2)),
    ), torch.randn(2, 6)


@specimen
def einsum_layers() -> Specimen:
    def run(m, x):
        y = functional.relu(torch.einsum("bi,io->bo", x, m.w))
        return torch.einsum("bo,co->bc", y, m.v)

    return Net(
        run, w=nn.Parameter(torch.randn(5, 8)), v=nn.Parameter(torch.randn(3, 8))
    ), torch.randn(2, 5)


@specimen
def bilinear_layer() -> Specimen:
    return Net(
        lambda m, x, y: m.o(functional.relu(m.b(functional.relu(m.l(x)), functional.relu(m.r(y))))),
        l=nn.Linear(4, 6),
        r=nn.Linear(5, 7),
        b=nn.Bilinear(6, 7, 8),
        o=nn.Linear(8, 3),
    ), (torch.randn(2, 4), torch.randn(2, 5))


@specimen
def bilinear_pooling() -> Specimen:
    def run(m, x):
        a, b = functional.relu(m.a(x)).flatten(2), functional.relu(m.b(x)).flatten(2)
        return torch.bmm(a, b.transpose(1, 2)).sum(2) @ m.w

    return Net(run, a=conv(3, 6), b=conv(3, 5), w=nn.Parameter(torch.randn(6, 3))), image()


@specimen
def shared_layer() -> Specimen:
    return Net(
        lambda m, x: m.o(functional.relu(m.s(functional.relu(m.s(functional.relu(m.i(x))))))),
        i=nn.Linear(4, 8),
        s=nn.Linear(8, 8),
        o=nn.Linear(8, 3),
    ), torch.randn(2, 4)


@specimen
def siamese() -> Specimen:
    return Net(
        lambda m, x, y: m.o((m.e(x) - m.e(y)).abs()),
        e=S(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU()),
        o=nn.Linear(6, 2),
    ), (torch.randn(2, 4), torch.randn(2, 4))


@specimen
def tied_autoencoder() -> Specimen:
    return Net(
        lambda m, x: functional.linear(functional.relu(m.e(x)), m.e.weight.t()), e=nn.Linear(5, 8)
    ), torch.randn(2, 5)


@specimen
def tied_modules() -> Specimen:
    a, b = nn.Linear(8, 8), nn.Linear(8, 8)
    b.weight = a.weight
    return S(nn.Linear(4, 8), nn.ReLU(), a, nn.ReLU(), b, nn.ReLU(), nn.Linear(8, 3)), torch.randn(
        2, 4
    )


@specimen
def two_inputs_two_outputs() -> Specimen:
    def run(m, x, y):
        z = functional.relu(m.a(x) + m.b(y))
        return {"first": m.c(z), "rest": (m.d(z), z.mean(1))}

    return Net(
        run,
        a=nn.Linear(4, 8),
        b=nn.Linear(5, 8),
        c=nn.Linear(8, 3),
        d=S(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2)),
    ), {"x": torch.randn(2, 4), "y": torch.randn(2, 5)}


@specimen
def auxiliary_head() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(functional.relu(m.b(y))), m.aux(y)

    return Net(run, a=conv(3, 8), b=conv(8, 6), h=head(6), aux=head(8)), image()


@specimen
def unet() -> Specimen:
    def run(m, x):
        a = functional.relu(m.a(x))
        b = functional.relu(m.b(functional.max_pool2d(a, 2)))
        return m.o(functional.relu(m.c(torch.cat([a, m.up(b)], 1))))

    return Net(
        run,
        a=conv(3, 6, 3),
        b=conv(6, 8, 3),
        up=nn.ConvTranspose2d(8, 6, 2, 2),
        c=conv(12, 6, 3),
        o=conv(6, 2),
    ), image()


@specimen
def feature_pyramid() -> Specimen:
    def run(m, x):
        a = functional.relu(m.a(x))
        b = functional.relu(m.b(functional.avg_pool2d(a, 2)))
        return m.o(functional.interpolate(m.lb(b), size=a.shape[-2:]) + m.la(a))

    return Net(
        run, a=conv(3, 6, 3), b=conv(6, 8, 3), la=conv(6, 5), lb=conv(8, 5), o=conv(5, 2)
    ), image()


@specimen
def inplace_add() -> Specimen:
    def run(m, x):
        y = m.a(x)
        y += m.b(x)
        y.mul_(m.c(x).sigmoid_()).relu_()
        return m.h(m.d(y))

    return Net(run, a=conv(3, 6), b=conv(3, 6, 3), c=conv(3, 6), d=conv(6, 4), h=head(4)), image()


@specimen
def where_and_clamp() -> Specimen:
    def run(m, x):
        a, b = m.a(x), m.b(x)
        return m.h(m.c(torch.where(a > 0, a, 0.1 * b).clamp(-1, 1)))

    return Net(run, a=conv(3, 6), b=conv(3, 6), c=conv(6, 4), h=head(4)), image()


@specimen
def normalised_features() -> Specimen:
    return Net(
        lambda m, x: m.o(functional.normalize(functional.relu(m.a(x)), dim=1)),
        a=S(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 8)),
        o=nn.Linear(8, 3),
    ), torch.randn(2, 4)


@specimen
def channel_means_and_sums() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(m.b(y / (1 + y.sum(1, keepdim=True))))

    return Net(run, a=conv(3, 8), b=conv(8, 6), h=head(6)), image()


@specimen
def channel_softmax() -> Specimen:
    return Net(
        lambda m, x: m.h(m.c(m.b(functional.relu(m.a(x))).softmax(1))),
        a=conv(3, 8),
        b=conv(8, 6),
        c=conv(6, 5),
        h=head(5),
    ), image()


@specimen
def space_to_depth_by_hand() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        b, c, h, w = y.shape
        y = (
            y.view(b, c, h // 2, 2, w // 2, 2)
            .permute(0, 3, 5, 1, 2, 4)
            .reshape(b, 4 * c, h // 2, w // 2)
        )
        return m.h(m.b(y))

    return Net(run, a=conv(3, 6), b=conv(24, 5), h=head(5)), image()


@specimen
def focus_slices() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        y = torch.cat(
            [y[..., ::2, ::2], y[..., 1::2, ::2], y[..., ::2, 1::2], y[..., 1::2, 1::2]], 1
        )
        return m.h(m.b(y))

    return Net(run, a=conv(3, 6), b=conv(24, 5), h=head(5)), image()


@specimen
def ghost_module() -> Specimen:
    def run(m, x):
        y = functional.relu(m.a(x))
        return m.h(m.c(torch.cat([y, functional.relu(m.b(y))], 1)))

    return Net(
        run, a=conv(3, 6), b=nn.Conv2d(6, 6, 3, padding=1, groups=6), c=conv(12, 5), h=head(5)
    ), image()


@specimen
def split_residual_res2net() -> Specimen:
    def run(m, x):
        a, b, c = torch.split(functional.relu(m.a(x)), m.width, 1)
        b = functional.relu(m.b(b))
        c = functional.relu(m.c(c + b))
        return m.h(m.d(torch.cat([a, b, c], 1)))

    return Net(
        run, a=conv(3, 12), b=conv(4, 4, 3), c=conv(4, 4, 3), d=conv(12, 6), width=4, h=head(6)
    ), image()
