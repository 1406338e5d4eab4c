"""The recipes of the registered methods; `test_conformance.py` runs them."""

from secateur.registry import METHODS


def test_every_recipe_is_pinned() -> None:
    recipes = {
        name: (
            method.schedule,
            method.start,
            [tuple(vars(part).values())[:4] for part in method.parts],
        )
        for name, method in METHODS.items()
    }
    conv = ("channel", "conv", "layer")
    assert recipes == {
        "magnitude": ("incremental", "trained", [("magnitude", "weight", "all", "global")]),
        "l1-filter": ("one-shot", "trained", [("magnitude", *conv)]),
        "slimming": ("one-shot", "trained", [("scale", "channel", "conv", "global")]),
        "combined": (
            "one-shot",
            "trained",
            [("magnitude", *conv), ("magnitude", "weight", "non-conv", "global")],
        ),
        "random-weight": ("incremental", "trained", [("random", "weight", "all", "global")]),
        "random-filter": ("one-shot", "trained", [("random", *conv)]),
        "dense": ("incremental", "trained", []),
        "scratch": ("one-shot", "initial", []),
    }
    assert {n for n, m in METHODS.items() if m.control} == {
        "random-weight",
        "random-filter",
        "dense",
        "scratch",
    }
    assert {n for n, m in METHODS.items() if m.prepare} == {"slimming"}
