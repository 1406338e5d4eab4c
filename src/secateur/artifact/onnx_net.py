"""ONNX net: an ONNX file as a network, so that whatever measures a network measures the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from secateur.artifact.export import session
from secateur.errors import ModelError
from secateur.foundation.run_example import described, tensors_in


class OnnxNet(nn.Module):
    """An ONNX file, called as the network was of which it was exported.

    It gives the file's one output, or a dict of its outputs by name.

    Args:
        path: The file.
        names: The names of the network's tensors in order, those included that the file does not
            read; the file's own inputs if None.
        threads: Threads inside an operator.

    Raises:
        ArtifactError: ONNX Runtime is missing, or does not take the file.

    Example:
        >>> import tempfile
        >>> from secateur.artifact.export import export_onnx
        >>> path = Path(tempfile.mkdtemp(), "net.onnx")
        >>> export_onnx(nn.Linear(4, 2), torch.zeros(1, 4), path)
        >>> OnnxNet(path)(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self, path: Path, names: tuple[str, ...] | None = None, *, threads: int = 1
    ) -> None:
        super().__init__()
        self._session = session(path, threads)
        self._read = [one.name for one in self._session.get_inputs()]
        self._given = tuple(self._read) if names is None else names
        self._made = [one.name for one in self._session.get_outputs()]
        # Whoever measures a network asks its first parameter where it is.
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the file.

        Raises:
            ModelError: It takes other inputs.
        """
        tensors = tensors_in((args, kwargs))
        feed = {
            name: one.detach().cpu().contiguous().numpy()
            for name, one in zip(self._given, tensors, strict=False)
        }
        try:
            found = self._session.run(None, {name: feed[name] for name in self._read})
        except Exception as error:
            raise ModelError(
                "running an ONNX file",
                "the inputs",
                given=f"{described((args, kwargs))} ({' '.join(str(error).split())[:200]})",
                expected=", ".join(f"{one.name} {one.shape}" for one in self._session.get_inputs()),
                remedy="Give inputs of the sizes that it was exported with; only the batch varies.",
            ) from error
        outputs: list[Tensor] = [torch.from_numpy(one) for one in found]
        if len(outputs) == 1:
            return outputs[0]
        return dict(zip(self._made, outputs, strict=True))
