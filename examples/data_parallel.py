"""Prune a network and train it on in several processes at once, in a loop of your own.

    torchrun --nproc-per-node 2 data_parallel.py [FOLDER]

First every process has a copy of the network (DistributedDataParallel), then each has a part of it
(FSDP2, fully_shard). On GPUs: the backend "nccl", and `.to(f"cuda:{os.environ['LOCAL_RANK']}")`.
"""

import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import secateur
from secateur.pruning.ranks import check_weights_agree, once


def build_model() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 4))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, data: TensorDataset) -> None:
    """One epoch; each process has its own share of the examples."""
    sampler = DistributedSampler(data)
    for images, labels in DataLoader(data, batch_size=16, sampler=sampler):
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def replicated(data: TensorDataset, folder: Path) -> None:
    model = DistributedDataParallel(build_model())
    train(model, torch.optim.AdamW(model.parameters()), data)

    # The first process scores and cuts; the others take its masks, and its weights.
    masks = once(lambda: secateur.prune(model, "magnitude", sparsity=0.9), model)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    masks.freeze(optimizer)
    train(model, optimizer, data)

    check_weights_agree(model)
    zeros = secateur.sparsity(model).prunable.zeros
    assert zeros == masks.zeros
    if distributed.get_rank() == 0:
        secateur.save(model.module, folder / "net.safetensors")
    print(f"copies, rank {distributed.get_rank()}: {zeros} exact zeros")


def sharded(data: TensorDataset) -> None:
    # Cut while the parameters are whole, shard, and freeze: each process holds its part's zeros.
    model = build_model()
    masks = once(lambda: secateur.prune(model, "magnitude", sparsity=0.9), model)
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer)
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    masks.freeze(optimizer, model)
    train(model, optimizer, data)

    whole = build_model()
    whole.load_state_dict({name: one.full_tensor() for name, one in model.state_dict().items()})
    zeros = secateur.sparsity(whole).prunable.zeros
    assert zeros == masks.zeros
    print(f"shards, rank {distributed.get_rank()}: {zeros} exact zeros")


def main(folder: Path) -> None:
    distributed.init_process_group("gloo")
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(128, 1, 8, 8), torch.randint(4, (128,)))
    folder.mkdir(parents=True, exist_ok=True)
    replicated(data, folder)
    sharded(data)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
