"""What several tests of training train on."""

import pytest

import secateur.data
from secateur.data.images import ImageData


@pytest.fixture(scope="session")
def data() -> ImageData:
    """64 small images of three classes."""
    return secateur.data.load("shapes", train=64, val=8, test=8, size=8, classes=3)
