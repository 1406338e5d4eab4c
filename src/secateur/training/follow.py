"""Follow: what a process does that trains along with the first rank; see `followers`."""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
import traceback
import warnings
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from secateur.errors import SecateurError
from secateur.foundation.own_error import words_of
from secateur.training.device import prepare_process
from secateur.training.rank_group import device_of, meet, part


@dataclass(frozen=True)
class Following:
    """What a follower is sent.

    Attributes:
        training: What to train; its `run_on(target, patience)` does it.
        device: The first rank's.
        world: How many processes there are.
        threads: Of each.
        deterministic: Whether the first rank uses deterministic kernels.
        patience: Seconds to wait for the others in a step.
    """

    training: Any
    device: str
    world: int
    threads: int
    deterministic: bool
    patience: float


def main(folder: str, rank: int) -> None:
    """Train along with the first rank, from what lies in a folder.

    Args:
        folder: Where the training and the meeting place are.
        rank: Of this process.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the user's code prints, the first rank prints it, too
    warnings.simplefilter("ignore")  # likewise
    _end_with_first_rank()
    try:
        sent = pickle.loads(Path(folder, "payload").read_bytes())
        if sent.deterministic:
            prepare_process(sent.threads)
        torch.set_num_threads(sent.threads)
        target = device_of(sent.device, rank, sent.world)
        _say(answers, {"ready": rank})
        meet(Path(folder, "meeting"), rank, sent.world, target, sent.patience)
        sent.training.run_on(target, sent.patience)
        part()
    except Exception as error:
        traceback.print_exc()
        own = isinstance(error, SecateurError)
        reason = words_of(error, 200)
        text = b64encode(pickle.dumps(error)).decode() if own else ""
        _say(answers, {"error": text, "reason": reason})
        answers.close()
        sys.stderr.flush()
        os._exit(1)  # threads of the group may wait for ranks that are gone


def _say(answers: Any, word: dict[str, Any]) -> None:
    answers.write(json.dumps(word) + "\n")
    answers.flush()


def _end_with_first_rank() -> None:
    """End as soon as the first rank has: it holds the other end of this process's input."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
