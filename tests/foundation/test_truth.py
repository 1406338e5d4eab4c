from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from secateur.foundation.truth import all_true, any_in_rows, any_true

FLAGS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5))


@given(FLAGS, st.booleans())
def test_as_torch_says(values: np.ndarray, turned: bool) -> None:
    flags = torch.from_numpy(values)
    flags = flags.T if turned else flags
    assert any_true(flags) == bool(flags.any())
    assert all_true(flags) == bool(flags.all())
    assert torch.equal(any_in_rows(flags), flags.any(1))


def test_flags_that_share_their_memory() -> None:
    flags = torch.tensor([[True], [False]]).expand(2, 3)
    assert any_in_rows(flags).tolist() == [True, False]
    assert any_true(flags)
    assert not all_true(flags)
