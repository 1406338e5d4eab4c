"""The net, the data, the training loop and the measure of detection.toml."""

import torch
from garments import pictures
from torch import nn
from torch.nn import functional

from secateur.data import external

CELL, CLASSES = 7, 10
COUNTS = {"train": 1200, "val": 200, "test": 200}


def data():
    """Known by a version: only this file reads it."""
    return external("garments-boxes", version="1", example=boxed("val", 2)[0])


def boxed(split, count):
    """Pictures, their boxes `[N, 2, 4]` (left, top, right, bottom) and classes `[N, 2]`."""
    images, classes = pictures(split, count, seed=1)
    return images, torch.stack([box(images, 0), box(images, 28)], 1), classes


def box(images, left):
    """The frame around what is drawn in the half of each picture that begins at `left`."""
    drawn = images[:, 0, :, left : left + 28] > 0.1
    ends = []
    for axis, start in ((1, left), (2, 0)):
        line = drawn.any(axis).float()
        size = line.shape[1]
        ends.append((line.argmax(1) + start, size - line.flip(1).argmax(1) + start))
    (x1, x2), (y1, y2) = ends
    return torch.stack([x1, y1, x2, y2], 1).float()


def net(width=16):
    """A grid of 4 x 8 cells; each says whether a garment's middle is in it, its box and class."""
    layers = []
    for inputs, outputs in ((1, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        if outputs < 4 * width:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Conv2d(4 * width, 4 * width, 3, 2, 1), nn.ReLU(),
                         nn.Conv2d(4 * width, 5 + CLASSES, 1))  # fmt: skip


def cells(boxes):
    """The cell of each box's middle, as row and column."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2 / CELL
    return middle[..., 1].long().clamp(max=3), middle[..., 0].long().clamp(max=7)


def loss_of(model, images, boxes, classes):
    """Whether there is one, where it is, and what it is."""
    found = model(images)
    row, column = cells(boxes)
    picture = torch.arange(len(images))[:, None]
    there = torch.zeros_like(found[:, 0])
    there[picture, row, column] = 1
    at = found[picture, :, row, column]
    return (
        functional.binary_cross_entropy_with_logits(found[:, 0], there)
        + functional.l1_loss(at[..., 1:5], boxes / CELL)
        + functional.cross_entropy(at[..., 5:].flatten(0, 1), classes.flatten())
    )


def train(model, run):
    """An ordinary loop; `run` says how long, and holds what was pruned at zero."""
    images, boxes, classes = boxed("train", COUNTS["train"])
    size = run.settings.batch_size
    optimizer = torch.optim.Adam(model.parameters(), lr=run.settings.learning_rate)
    run.freeze(optimizer)
    for _ in range(run.epochs):
        total = 0.0
        for rows in torch.randperm(len(images)).split(size):
            loss = loss_of(model, images[rows], boxes[rows], classes[rows]) + run.penalty()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        run.report(loss=total / len(images))


def evaluate(model, split):
    """Mean average precision at an overlap of one half, and the loss."""
    images, boxes, classes = boxed(split.name, COUNTS[split.name])
    with torch.inference_mode():
        found = model(images)
        loss = loss_of(model, images, boxes, classes)
    sure = found[:, 0].flatten(1).sigmoid()
    place = found[:, 1:5].flatten(2).movedim(1, 2) * CELL
    named = found[:, 5:].flatten(2).argmax(1)
    precisions = [
        average_precision(sure, place, named == one, boxes, classes == one)
        for one in range(CLASSES)
    ]
    return {"map50": sum(precisions) / CLASSES, "loss": float(loss)}


def average_precision(sure, place, named, boxes, wanted):
    """The area under precision against recall of one class (as in Pascal VOC 2010)."""
    right, taken = [], torch.zeros_like(wanted)
    candidates = named.nonzero()
    order = sure[candidates[:, 0], candidates[:, 1]].argsort(descending=True)
    for picture, cell in candidates[order].tolist():
        overlaps = overlap(place[picture, cell], boxes[picture])
        overlaps[~wanted[picture] | taken[picture]] = 0
        best = int(overlaps.argmax())
        hit = bool(overlaps[best] >= 0.5)
        taken[picture, best] |= hit
        right.append(hit)
    if not right or not wanted.any():
        return 0.0
    hits = torch.tensor(right).float().cumsum(0)
    precision = hits / torch.arange(1, len(right) + 1)
    recall = hits / wanted.sum()
    best_after = precision.flip(0).cummax(0).values.flip(0)
    steps = torch.diff(recall, prepend=torch.zeros(1))
    return float((steps * best_after).sum())


def overlap(one, others):
    """Intersection over union."""
    inside = (torch.minimum(one[2:], others[:, 2:]) - torch.maximum(one[:2], others[:, :2])).clamp(
        min=0
    )
    both = inside.prod(1)
    sizes = (one[2:] - one[:2]).clamp(min=0).prod() + (others[:, 2:] - others[:, :2]).prod(1)
    return both / (sizes - both)
