"""What made the files beside this one, with secateur as of commit af614ba:

cd tests/version_0_1 && PYTHONPATH=. secateur sweep study.toml --out run && python make.py
"""

import json
from pathlib import Path

import tinynet
import torch
from secateur.studies import names, read

import secateur
from secateur.spec import read_study
from secateur.study.plan import plan

if __name__ == "__main__":
    torch.manual_seed(0)
    example = torch.randn(2, 3, 12, 12)
    net = tinynet.build()
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=example)
    small = secateur.compact(net, masks, example)
    secateur.save(small, "compact.safetensors", example_inputs=example)
    masks = secateur.prune(net, "magnitude", sparsity=0.9)
    secateur.save(net, "masked.safetensors", masks=masks)
    torch.save(masks, "masks.pt")
    torch.save({"input": example, "compact": small(example), "masked": net(example)}, "outputs.pt")
    studies = {name: read(name) for name in names()} | {"kept": read_study(Path("study.toml"))}
    digests = {
        name: {run.title: run.digest for run in plan(study, {"data": "0" * 64})}
        for name, study in studies.items()
    }
    Path("digests.json").write_text(json.dumps(digests, indent=1) + "\n")
