"""Sequences: embeddings, attention, recurrent layers, transformers."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional
from zoo import Net, Specimen, image, specimen, tokens

S = nn.Sequential


def ids(length: int = 5, many: int = 11, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, many, (batch, length))


def mlp(width: int, inner: int) -> nn.Sequential:
    return S(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))


class Attention(nn.Module):
    """By hand, as in most of the world's code: one projection for all, view, permute."""

    def __init__(
        self, width: int = 12, heads: int = 3, inner: int = 12, kind: str = "hand"
    ) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.kind = heads, inner // heads, kind
        self.qkv = nn.Linear(width, 3 * inner)
        self.proj = nn.Linear(inner, width)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        if self.kind == "sdpa":
            y = functional.scaled_dot_product_attention(q, k, v)
        else:
            y = ((q @ k.transpose(-2, -1)) / math.sqrt(4)).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(b, t, -1))


class Separate(nn.Module):
    """Three projections, and a width kept as an attribute of its own."""

    def __init__(self, width: int = 12, heads: int = 3, inner: int = 12) -> None:
        super().__init__()
        self.heads, self.size, self.all_size = heads, inner // heads, inner
        self.q, self.k, self.v = (nn.Linear(width, inner) for _ in range(3))
        self.o = nn.Linear(inner, width)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.size).transpose(1, 2)

    def forward(self, x, mask=None):
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        scores = torch.matmul(q, k.transpose(-1, -2)) * 0.5
        if mask is not None:
            scores = scores.masked_fill(mask, float("-inf"))
        y = torch.matmul(scores.softmax(-1), v).permute(0, 2, 1, 3).contiguous()
        return self.o(y.view(*y.size()[:-2], self.all_size))


class Block(nn.Module):
    def __init__(self, attention: nn.Module, width: int = 12, inner: int = 20) -> None:
        super().__init__()
        self.n1, self.attention = nn.LayerNorm(width), attention
        self.n2, self.mlp = nn.LayerNorm(width), mlp(width, inner)

    def forward(self, x):
        x = x + self.attention(self.n1(x))
        return x + self.mlp(self.n2(x))


@specimen
def mlp_on_tokens() -> Specimen:
    return S(nn.Linear(12, 16), nn.GELU(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)), tokens()


@specimen
def attention_by_hand() -> Specimen:
    return Attention(), tokens()


@specimen
def attention_sdpa() -> Specimen:
    return Attention(kind="sdpa"), tokens()


@specimen
def attention_separate() -> Specimen:
    return Separate(), tokens()


@specimen
def attention_masked() -> Specimen:
    def run(m, x):
        t = x.shape[1]
        return m.a(x, torch.ones(t, t, dtype=torch.bool).triu(1))

    return Net(run, a=Separate()), tokens()


@specimen
def attention_literal_heads() -> Specimen:
    def run(m, x):
        b, t, _ = x.shape
        q, k, v = (f(x).view(b, t, 3, -1).transpose(1, 2) for f in (m.q, m.k, m.v))
        y = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return m.o(y.transpose(1, 2).flatten(2))

    return Net(
        run, q=nn.Linear(12, 12), k=nn.Linear(12, 12), v=nn.Linear(12, 12), o=nn.Linear(12, 12)
    ), tokens()


@specimen
def attention_einsum() -> Specimen:
    def run(m, x):
        q, k, v = (torch.einsum("btc,chd->bthd", x, w) for w in (m.q, m.k, m.v))
        a = torch.einsum("bthd,bshd->bhts", q, k).softmax(-1)
        return torch.einsum("bhts,bshd,hdc->btc", a, v, m.o)

    weights = {n: nn.Parameter(torch.randn(12, 3, 4)) for n in "qkv"}
    return Net(run, **weights, o=nn.Parameter(torch.randn(3, 4, 12))), tokens()


@specimen
def attention_single_head() -> Specimen:
    def run(m, x):
        a = (m.q(x) @ m.k(x).transpose(1, 2)).softmax(-1)
        return m.o(a @ m.v(x))

    return Net(
        run, q=nn.Linear(12, 8), k=nn.Linear(12, 8), v=nn.Linear(12, 10), o=nn.Linear(10, 12)
    ), tokens()


@specimen
def attention_multi_query() -> Specimen:
    def run(m, x):
        b, t, _ = x.shape
        q = m.q(x).view(b, t, m.heads, -1).transpose(1, 2)
        k, v = m.k(x).unsqueeze(1), m.v(x).unsqueeze(1)
        y = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return m.o(y.transpose(1, 2).flatten(2))

    return Net(
        run,
        q=nn.Linear(12, 12),
        k=nn.Linear(12, 4),
        v=nn.Linear(12, 4),
        o=nn.Linear(12, 12),
        heads=3,
    ), tokens()


class Grouped(nn.Module):
    """Six heads of queries read two of keys and values."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.heads, self.groups, self.size, self.kind = 6, 2, 4, kind
        self.q, self.k, self.v = (nn.Linear(12, n) for n in (24, 8, 8))
        self.o = nn.Linear(24, 12)

    def forward(self, x):
        b, t, _ = x.shape
        q = self.q(x).view(b, t, self.heads, self.size).transpose(1, 2)
        k, v = (f(x).view(b, t, self.groups, self.size).transpose(1, 2) for f in (self.k, self.v))
        if self.kind == "repeated":
            k, v = (one.repeat_interleave(self.heads // self.groups, dim=1) for one in (k, v))
        y = functional.scaled_dot_product_attention(q, k, v, enable_gqa=self.kind == "sdpa")
        return self.o(y.transpose(1, 2).flatten(2))


@specimen
def grouped_queries() -> Specimen:
    return Grouped("sdpa"), tokens()


@specimen
def grouped_queries_repeated() -> Specimen:
    return Grouped("repeated"), tokens()


@specimen
def attention_channels() -> Specimen:
    def run(m, x):
        q, k, v = m.qkv(x).flatten(2).chunk(3, 1)
        y = (q @ k.transpose(1, 2)).softmax(-1) @ v
        return m.h(m.o(y).mean(2))

    return Net(
        run, qkv=nn.Conv2d(3, 18, 1), o=S(nn.Conv1d(6, 8, 1), nn.ReLU()), h=nn.Linear(8, 3)
    ), image()


@specimen
def multihead_module() -> Specimen:
    return Net(
        lambda m, x: m.o(m.a(m.i(x), m.i(x), m.i(x), need_weights=False)[0]),
        i=nn.Linear(6, 12),
        a=nn.MultiheadAttention(12, 3, batch_first=True),
        o=nn.Linear(12, 4),
    ), tokens(5, 6)


@specimen
def multihead_module_weights() -> Specimen:
    return Net(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(12, 3)), tokens()


@specimen
def encoder_layer() -> Specimen:
    return S(nn.TransformerEncoderLayer(12, 3, 20, batch_first=True), nn.Linear(12, 4)), tokens()


@specimen
def decoder_layer() -> Specimen:
    return nn.TransformerDecoderLayer(12, 3, 20, batch_first=True), (tokens(), tokens(4))


@specimen
def encoder_block_by_hand() -> Specimen:
    return S(Block(Attention()), Block(Attention(kind="sdpa")), nn.Linear(12, 4)), tokens()


@specimen
def vision_transformer() -> Specimen:
    def run(m, x):
        y = m.patch(x).flatten(2).transpose(1, 2)
        y = torch.cat([m.cls.expand(y.shape[0], -1, -1), y], 1) + m.pos
        return m.o(m.n(m.block(y))[:, 0])

    return Net(
        run,
        patch=nn.Conv2d(3, 12, 4, 4),
        cls=nn.Parameter(torch.randn(1, 1, 12)),
        pos=nn.Parameter(torch.randn(1, 5, 12)),
        block=Block(Attention()),
        n=nn.LayerNorm(12),
        o=nn.Linear(12, 3),
    ), image()


@specimen
def transformer_without_norm() -> Specimen:
    def run(m, x):
        y = m.e(x) + m.p
        y = y + m.a(y)
        return m.o(y + m.f(y))

    return Net(
        run,
        e=nn.Embedding(11, 12),
        p=nn.Parameter(torch.randn(1, 5, 12)),
        a=Attention(),
        f=mlp(12, 20),
        o=nn.Linear(12, 3),
    ), ids()


@specimen
def language_model_tied() -> Specimen:
    def run(m, x):
        y = m.e(x) + m.p(torch.arange(x.shape[1]))
        return functional.linear(m.n(m.b(y)), m.e.weight)

    return Net(
        run, e=nn.Embedding(11, 12), p=nn.Embedding(6, 12), b=Block(Attention()), n=nn.LayerNorm(12)
    ), ids()


@specimen
def rms_norm_swiglu() -> Specimen:
    return Net(
        lambda m, x: x + m.o(functional.silu(m.g(m.n(x))) * m.u(m.n(x))),
        n=nn.RMSNorm(12),
        g=nn.Linear(12, 16),
        u=nn.Linear(12, 16),
        o=nn.Linear(16, 12),
    ), tokens()


@specimen
def rms_norm_by_hand() -> Specimen:
    return Net(
        lambda m, x: m.o(
            functional.relu(m.u(m.w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))))
        ),
        w=nn.Parameter(torch.ones(12)),
        u=nn.Linear(12, 16),
        o=nn.Linear(16, 12),
    ), tokens()


@specimen
def embedding_bag_of_words() -> Specimen:
    return Net(
        lambda m, x: m.o(functional.relu(m.l(m.e(x).mean(1)))),
        e=nn.Embedding(11, 8),
        l=nn.Linear(8, 6),
        o=nn.Linear(6, 3),
    ), ids()


@specimen
def lstm() -> Specimen:
    return Net(
        lambda m, x: m.o(m.r(m.i(x))[0][:, -1]),
        i=nn.Linear(12, 6),
        r=nn.LSTM(6, 8, batch_first=True),
        o=nn.Linear(8, 3),
    ), tokens()


@specimen
def lstm_stacked_bidirectional() -> Specimen:
    return Net(
        lambda m, x: m.o(m.r(x)[0]), r=nn.LSTM(12, 6, 2, bidirectional=True), o=nn.Linear(12, 3)
    ), tokens()


@specimen
def gru() -> Specimen:
    return Net(
        lambda m, x: m.o(m.r(m.e(x))[1][0]),
        e=nn.Embedding(11, 6),
        r=nn.GRU(6, 8, batch_first=True),
        o=nn.Linear(8, 3),
    ), ids()


@specimen
def rnn_tanh() -> Specimen:
    return Net(lambda m, x: m.o(m.r(x)[0]), r=nn.RNN(12, 8), o=nn.Linear(8, 3)), tokens()


@specimen
def lstm_cell_unrolled() -> Specimen:
    def run(m, x):
        h = torch.zeros(x.shape[0], m.c.hidden_size, dtype=x.dtype)
        c = torch.zeros(x.shape[0], m.c.hidden_size, dtype=x.dtype)
        for t in range(x.shape[1]):
            h, c = m.c(x[:, t], (h, c))
        return m.o(h)

    return Net(run, c=nn.LSTMCell(12, 8), o=nn.Linear(8, 3)), tokens()


@specimen
def gru_cell_unrolled() -> Specimen:
    def run(m, x):
        h = x.new_zeros(x.shape[0], m.c.hidden_size)
        for t in range(x.shape[1]):
            h = m.c(x[:, t], h)
        return m.o(h)

    return Net(run, c=nn.GRUCell(12, 8), o=nn.Linear(8, 3)), tokens()


@specimen
def mixer() -> Specimen:
    def run(m, x):
        y = m.p(x).flatten(2).transpose(1, 2)
        y = y + m.t(m.n1(y).transpose(1, 2)).transpose(1, 2)
        y = y + m.c(m.n2(y))
        return m.o(y.mean(1))

    return Net(
        run,
        p=nn.Conv2d(3, 12, 4, 4),
        n1=nn.LayerNorm(12),
        t=mlp(4, 8),
        n2=nn.LayerNorm(12),
        c=mlp(12, 20),
        o=nn.Linear(12, 3),
    ), image()


@specimen
def window_attention() -> Specimen:
    def run(m, x):
        y = m.p(x).permute(0, 2, 3, 1)
        y = torch.roll(y, (-1, -1), (1, 2))
        b, h, w, c = y.shape
        y = y.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
        y = (
            m.f(m.a(y))
            .view(b, h // 2, w // 2, 2, 2, c)
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(b, h, w, c)
        )
        return m.o(torch.roll(y, (1, 1), (1, 2)).mean((1, 2)))

    return Net(
        run, p=nn.Conv2d(3, 12, 2, 2), a=Attention(), f=mlp(12, 20), o=nn.Linear(12, 3)
    ), image()


@specimen
def rotary_positions() -> Specimen:
    def run(m, x):
        b, t, _ = x.shape
        q, k, v = (f(x).view(b, t, m.heads, 4).transpose(1, 2) for f in (m.q, m.k, m.v))
        q, k = (y * m.cos + torch.cat([-y[..., 2:], y[..., :2]], -1) * m.sin for y in (q, k))
        return m.o(
            (functional.scaled_dot_product_attention(q, k, v, is_causal=True))
            .transpose(1, 2)
            .reshape(b, t, -1)
        )

    net = Net(
        run,
        q=nn.Linear(12, 12),
        k=nn.Linear(12, 12),
        v=nn.Linear(12, 12),
        o=nn.Linear(12, 12),
        heads=3,
    )
    net.register_buffer("cos", torch.rand(5, 4))
    net.register_buffer("sin", torch.rand(5, 4))
    return net, tokens()
