"""What every table of settings has in common."""

import pytest
from pydantic import ValidationError

from secateur.errors import UnknownNameError
from secateur.registry import METRICS, REPAIRS
from secateur.settings import Settings, look_up


class Table(Settings):
    share: float = 0.5


@pytest.mark.parametrize("given", [{"shear": 0.5}, {"share": float("nan")}, {"share": "inf"}])
def test_what_is_unknown_or_infinite_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Table.model_validate(given)


def test_they_stay_as_they_are() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Table().share = 0.1  # type: ignore[misc]


def test_names_in_a_run_folder_lead_nowhere() -> None:
    """Only what the user wrote is imported."""
    path = "no_such_module:thing"
    with pytest.raises(Exception, match="no_such_module"):
        look_up({})(METRICS, path)
    assert look_up({"trusted": False}, paths=True)(METRICS, path) is None
    with pytest.raises(UnknownNameError):
        look_up({"trusted": False})(REPAIRS, "bios")
