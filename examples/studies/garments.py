"""Pictures of two garments each, side by side: real ones, of the data that come with secateur."""

import torch

import secateur.data


def pictures(split, count, seed):
    """Pictures `[N, 1, 28, 56]` between 0 and 1, and the two classes of each, `[N, 2]`."""
    source = getattr(secateur.data.load("fashion-mini"), split)
    drawn = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(source), (count, 2), generator=drawn)
    halves = source.images[chosen].float() / 255
    return torch.cat(halves.unbind(1), dim=3), source.labels[chosen]
