"""The recipes of the registered methods; `test_conformance.py` runs them."""

from secateur.pruning.method import parts_of
from secateur.registry import METHODS
from secateur.spec import MethodSpec

# Of a criterion by the method's own name: single weights, filters by layer or all together.
SINGLE = ("obd", "fisher", "movement", "change")
BY_LAYER = ("fpgm", "mean-activation", "apoz", "hrank")
TOGETHER = ("taylor-gate", "taylor-activation")
UNTRAINED = ("snip", "grasp", "synflow")


def test_every_recipe_is_pinned() -> None:
    recipes = {
        name: (
            method.schedule,
            method.start,
            [tuple(vars(part).values())[:4] for part in method.parts],
        )
        for name, method in METHODS.items()
    }
    conv, convs = ("channel", "conv", "layer"), ("channel", "conv", "global")
    single = ("weight", "all", "global")
    one_shot = "one-shot", "trained"
    drawn = ("random", "weight", "all", "layer")
    assert recipes == {
        "magnitude": ("incremental", "trained", [("magnitude", *single)]),
        "l1-filter": (*one_shot, [("magnitude", *conv)]),
        "slimming": (*one_shot, [("scale", *convs)]),
        "combined": (
            *one_shot,
            [("magnitude", *conv), ("magnitude", "weight", "non-conv", "global")],
        ),
        "lamp": ("incremental", "trained", [("lamp", *single)]),
        "l2-filter": (*one_shot, [("l2", *conv)]),
        "wanda": (*one_shot, [("wanda", "weight", "all", "output")]),
        "sparsegpt": (*one_shot, [("sparsegpt", "weight", "all", "layer")]),
        "taylor-filter": (*one_shot, [("taylor", *convs)]),
        **{name: (*one_shot, [(name, *single)]) for name in SINGLE},
        **{name: (*one_shot, [(name, *conv)]) for name in BY_LAYER},
        **{name: (*one_shot, [(name, *convs)]) for name in TOGETHER},
        **{name: ("one-shot", "untrained", [(name, *single)]) for name in UNTRAINED},
        "lottery": ("incremental", "trained", [("magnitude", *single)]),
        "set": ("dynamic", "untrained", [drawn]),
        "rigl": ("dynamic", "untrained", [drawn]),
        "ac-dc": ("alternating", "untrained", [("magnitude", *single)]),
        "static-sparse": ("one-shot", "untrained", [drawn]),
        "random-weight": ("incremental", "trained", [("random", *single)]),
        "random-filter": (*one_shot, [("random", *conv)]),
        "random-combined": (
            *one_shot,
            [("random", *conv), ("random", "weight", "non-conv", "global")],
        ),
        "group-lasso": (*one_shot, [("group-norm", *convs)]),
        "growing": ("growing", "trained", [("magnitude", *conv)]),
        "dense": ("incremental", "trained", []),
        "scratch": ("one-shot", "initial", []),
    }
    allotted = {n for n, m in METHODS.items() if any(part.by_layer for part in m.parts)}
    assert allotted == {"set", "rigl", "static-sparse"}
    assert {n for n, m in METHODS.items() if m.rewinds} == {"lottery"}
    assert {n for n, m in METHODS.items() if m.control} == {
        "static-sparse",
        "random-weight",
        "random-filter",
        "random-combined",
        "dense",
        "scratch",
    }
    prepared = {name: method.prepare for name, method in METHODS.items() if method.prepare}
    given = {name: (one.gives, one.gives_net) for name, one in prepared.items()}
    assert given == {"slimming": ("norm-scales", False), "group-lasso": ("net", True)}


def test_a_methods_own_allocation_is_nothing_to_groups_that_all_keep_as_many() -> None:
    own = {word: parts_of(METHODS["static-sparse"], MethodSpec(granularity=word))[0].allocation
           for word in ("2:4", "4x4", "weight")}  # fmt: skip
    assert own == {"2:4": "", "4x4": "erk", "weight": "erk"}
    (asked,) = parts_of(
        METHODS["static-sparse"], MethodSpec(granularity="2:4", allocation="uniform")
    )
    assert asked.allocation == "uniform"  # which the cut refuses by name
