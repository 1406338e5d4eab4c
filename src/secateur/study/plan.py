"""The plan: every run of a study, named by the digest of what makes it.

Runs form a tree. A *base* run trains the dense net of one seed; a preparatory run, named by its
method's preparation, trains a copy of it for what the method's criteria need; a *point* run cuts a
net, retrains it and scores it, several times where its budget is that of a whole chain of levels. A
run names its parents by their digests, so its own digest covers all that came before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from secateur.foundation.level import Levels
from secateur.foundation.level_text import level_text
from secateur.registry import METHODS
from secateur.spec import MethodSpec, Named, StudySpec, chosen, digest
from secateur.study.budget import Stage, is_total, passes_of, stages_of, teacher_epochs
from secateur.study.method_settings import (
    check_methods,
    copied,
    files_of,
    layers_of,
    schedule_of,
    settings_for,
    training_for,
)
from secateur.study.schedule_settings import WHILE_TRAINING, check_schedules

if TYPE_CHECKING:
    from secateur.pruning.method import Method, Preparation

BASE, POINT = "base", "point"
"""The kinds of runs that give a point."""
START = "start"
"""The dense net where all points have the same total: it is no point, for it has had less. Every
other kind is the name of a preparation."""
BASE_TITLE = "dense base"
CLASSIFICATION = Named(name="classification")
LOOP = ("task:", "train:", "evaluate:")
"""What stands in `codes` for the loop of a study."""
_CUT = {"scope", "ranking", "allocation", "normalize", "granularity", "reduce"}
RETRAINING = {
    "retrain_epochs",
    "retrain_learning_rate",
    "sparse_retraining",
    "budget",
    "spread",
    "retrain",
    "retrain_schedule",
    "rewind_epoch",
    "distill",
    "temperature",
    "retrain_dropout",
}
REPAIR = {"repair"}
"""With those above the settings that name no base net."""


@dataclass(frozen=True)
class Run:
    """One unit of work: done as a whole, or not at all.

    Attributes:
        digest: Its name.
        kind: What it does: `base` or `start`, `point`, or the name of a preparation (`slim`).
        method: Of a point; `dense` for a base run, which is the dense net's first point.
        level: The requested sparsities; empty where nothing is cut.
        step: The level's place in its method's list.
        depth: How many retrainings lie between the base net and this run's end.
        seed: The seed.
        parents: Role (`base`, `previous`, `like`, the name of a preparation) -> digest.
        epochs: Epochs that this run trains.
        spent: Epochs consumed up to its end: `base`, `sparsity` (of preparations), `retrain`, and
            `statistics` where a criterion needs some, `teacher` where a net is distilled.
        preparing: Of a run that gives no point: what it does, in words.
        stages: The cuts that lead from the parent's net to the point, each with its retraining.
    """

    digest: str
    kind: str
    method: str
    level: Levels
    step: int
    depth: int
    seed: int
    parents: Mapping[str, str]
    epochs: int
    spent: Mapping[str, int]
    preparing: str = ""
    stages: tuple[Stage, ...] = ()

    @property
    def is_base(self) -> bool:
        """Whether it trains the dense net that the others of its seed start from."""
        return self.kind in (BASE, START)

    @property
    def title(self) -> str:
        """Short text for progress and messages."""
        level = level_text(self.level)
        what = self.preparing or (BASE_TITLE if self.kind == BASE else self.method)
        return " ".join(part for part in (what, level, f"seed {self.seed}") if part)


def plan(
    study: StudySpec,
    sources: Mapping[str, str],
    nets: Mapping[int, str] | None = None,
    codes: Mapping[str, str] | None = None,
) -> tuple[Run, ...]:
    """All runs of a study, each after its parents.

    Args:
        study: The settings.
        sources: What the settings only name: SHA-256 of the data.
        nets: Of a network of the user's own, seed -> SHA-256 of all that it is made of.
        codes: Of methods and metrics that secateur does not bring: name -> SHA-256 of their code
            and of their criteria's; likewise of the task and the functions of `LOOP`, and of files
            of scores and masks by their paths.

    Returns:
        The runs, seed by seed. `scratch` brings the points of the method that it copies.

    Raises:
        SpecError: Settings contradict each other.

    Example:
        >>> study = StudySpec.model_validate({"methods": {"magnitude": {"levels": [0.5, 0.9]}}})
        >>> [run.title for run in plan(study, {"data": "..."})]
        ['dense base seed 0', 'magnitude 0.5 seed 0', 'magnitude 0.9 seed 0']
    """
    check_methods(study)
    check_schedules(study)
    runs: dict[str, Run] = {}
    for seed in study.seeds:
        own = {"model": nets[seed]} if nets else {}
        for run in _Seed(study, {**sources, **own}, seed, codes or {}).runs():
            runs.setdefault(run.digest, run)
    return tuple(runs.values())


@dataclass
class _Seed:
    """The runs of one seed."""

    study: StudySpec
    sources: Mapping[str, str]
    seed: int
    codes: Mapping[str, str]

    def runs(self) -> Iterator[Run]:
        base = self._base()
        yield base
        spent = 0
        for name in self._with_sources():
            for run in self._of(name, base):
                spent = max(spent, sum(run.spent.values()) - base.epochs)
                yield run
        if is_total(self.study):
            yield self._point("dense", [()], 0, base, base, None)
        elif "dense" in self.study.methods:
            yield from self._dense(base, spent)

    def _with_sources(self) -> list[str]:
        """The methods in order, without `dense`, each copied method before its copy."""
        names: list[str] = []
        for name, spec in self.study.methods.items():
            if METHODS[name].start == "initial":
                names.append(copied(spec))
            names.append(name)
        return [name for name in dict.fromkeys(names) if name != "dense"]

    def _of(self, name: str, base: Run) -> Iterator[Run]:
        method: Method = METHODS[name]
        spec = settings_for(self.study, name)
        if method.start == "initial":
            for source in self._of(copied(spec), base):
                if source.kind == POINT:
                    yield self._scratch(name, source)
            return
        if method.start == "untrained":
            for step, level in enumerate(self.study.levels_of(name)):
                yield self._untrained(name, level, step, base)
            return
        prepared = self._prepared(name, base, spec) if method.prepare else None
        if prepared:
            yield prepared
        previous = base
        incremental = schedule_of(self.study, name) == "incremental"
        levels = self.study.levels_of(name)
        for step, level in enumerate(levels):
            # With an equal total each point of a chain is reached by itself, from the base net.
            whole = incremental and is_total(self.study)
            chain = levels[: step + 1] if whole else (level,)
            start = previous if incremental and not whole else base
            run = self._point(name, chain, step, base, start, prepared)
            yield run
            previous = run

    def _base(self) -> Run:
        training = chosen(self.study.training)
        kind = START if is_total(self.study) else BASE
        kept = self.study.training.kept_epoch
        made_by = {
            "run": kind,
            "model": chosen(self.study.model),
            "data": chosen(self.study.data),
            "sources": dict(self.sources),
            "training": {k: v for k, v in training.items() if k not in RETRAINING | REPAIR},
            "seed": self.seed,
            **self._loop(),
            **self._metrics(),
            **({"prunable": list(self.study.prunable)} if self.study.prunable else {}),
            **({} if kept is None else {"keeps": kept}),
        }
        epochs = self.study.training.base_epochs
        spent = {"base": epochs, "sparsity": 0, "retrain": 0}
        name = digest(made_by)
        words = BASE_TITLE if kind == START else ""
        return Run(name, kind, "dense", (), 0, 0, self.seed, {}, epochs, spent, words)

    def _prepared(self, name: str, base: Run, spec: MethodSpec) -> Run:
        prepare: Preparation = METHODS[name].prepare
        made_by = {
            "run": prepare.name,
            "base": base.digest,
            "options": chosen(spec, set(prepare.options)),
            **self._code(name),
            **(self._prepared_for(name, spec) if prepare.gives_net else {}),
        }
        epochs = int(getattr(spec, prepare.epochs))
        spent = {**base.spent, "sparsity": epochs}
        parents = {BASE: base.digest}
        return Run(
            digest(made_by),
            prepare.name,
            name,
            (),
            0,
            0,
            self.seed,
            parents,
            epochs,
            spent,
            prepare.title,
        )

    def _prepared_for(self, name: str, spec: MethodSpec) -> dict[str, Any]:
        """The channels that a net is prepared for: those that may be cut of it."""
        cut = chosen(spec, {"scope", "granularity"})
        asked = layers_of(self.study, name)
        layers = {word: asked[word] for word in ("exclude", "only") if word in asked}
        return {"cut": cut | layers} if cut or layers else {}

    def _code(self, name: str) -> dict[str, str]:
        """What names the runs of a method of one's own beside its settings."""
        return {"code": self.codes[name]} if name in self.codes else {}

    def _while_training(self, name: str) -> dict[str, Any]:
        """What changes a net during its training is named by; cuts before it by their parents."""
        schedule = schedule_of(self.study, name)
        own = WHILE_TRAINING.get(schedule)
        return {} if own is None else {schedule: chosen(settings_for(self.study, name), set(own))}

    def _cut(self, name: str, method: Method) -> dict[str, Any]:
        """What a cut net is named by beside where it comes from and how it is trained."""
        return {
            "options": chosen(settings_for(self.study, name), _CUT | method.cut_options()),
            **self._ranked(name, method),
            **self._code(name),
            **self._metrics(),
            **self._layers(name, method),
        }

    def _ranked(self, name: str, method: Method) -> dict[str, Any]:
        """Where weights are ranked in another way: 0.1 let that be, so its points are others."""
        asked = settings_for(self.study, name).ranking
        own = {part.ranking for part in method.parts if not part.cuts_channels}
        return {"ranked": "every part"} if asked and own - {asked} else {}

    def _layers(self, name: str, method: Method) -> dict[str, Any]:
        """What a cut is named by beside its level; the base run's name covers `prunable`."""
        if not method.parts:
            return {}
        asked = layers_of(self.study, name)
        asked.pop("prunable", None)
        files = files_of(self.study, name).items()
        held = {word: self.codes.get(path, path) for word, path in files}
        return {**({"layers": asked} if asked else {}), **({"files": held} if held else {})}

    def _loop(self) -> dict[str, Any]:
        """Nothing for a study of classification by our own loop."""
        study = self.study
        held: dict[str, Any] = {
            "task": None if study.task == CLASSIFICATION else chosen(study.task),
            "train": study.train,
            "evaluate": study.evaluate,
            "quality": list(study.quality.items()),
        }
        codes = {name: self.codes[name] for name in LOOP if name in self.codes}
        if codes:
            held["loop_codes"] = codes
        return {name: value for name, value in held.items() if value}

    def _metrics(self) -> dict[str, Any]:
        """Points that were measured by other metrics are other points."""
        names = self.study.metrics
        return {"metrics": {name: self.codes.get(name, "") for name in names}} if names else {}

    def _point(
        self,
        name: str,
        chain: Sequence[Levels],
        step: int,
        base: Run,
        start: Run,
        prepared: Run | None,
    ) -> Run:
        method: Method = METHODS[name]
        level = chain[-1]
        before = prepared.epochs if prepared else 0
        stages = stages_of(self.study, name, chain, before)
        epochs = sum(stage.epochs for stage in stages)
        parents = {"base": base.digest}
        if start is not base:
            parents["previous"] = start.digest
        if prepared:
            parents[prepared.kind] = prepared.digest
        spent = dict(start.spent)
        spent["sparsity"] = prepared.spent["sparsity"] if prepared else 0
        spent["retrain"] += epochs
        passes = len(stages) * passes_of(self.study, name)
        if passes:
            spent["statistics"] = spent.get("statistics", 0) + passes
        teacher = teacher_epochs(self.study, name, stages, spent["retrain"], before)
        if teacher:
            spent["teacher"] = teacher
        total = {"stages": [[list(one.level), one.epochs] for one in stages]}
        made_by = {
            "run": "point",
            "method": name,
            "level": list(level),
            "parents": parents,
            "training": chosen(
                training_for(self.study, name), RETRAINING | (REPAIR if method.parts else set())
            ),
            **self._while_training(name),
            **(total if is_total(self.study) else {}),
            **self._cut(name, method),
        }
        return Run(
            digest(made_by),
            POINT,
            name,
            level,
            step,
            start.depth + len(stages),
            self.seed,
            parents,
            epochs,
            spent,
            stages=stages,
        )

    def _untrained(self, name: str, level: Levels, step: int, base: Run) -> Run:
        """A point that is cut as it was initialised: it waits for no other run.

        It trains for as many epochs as a net that is cut once after the base net's training.
        """
        method: Method = METHODS[name]
        (stage,) = stages_of(self.study, name, (level,))
        epochs = base.epochs + stage.epochs
        passes = passes_of(self.study, name)
        made_by = {
            "run": "point",
            "method": name,
            "level": list(level),
            "parents": {},
            "initial": base.digest,
            "epochs": epochs,
            "training": chosen(self.study.training, REPAIR),
            **self._while_training(name),
            **self._cut(name, method),
        }
        spent = {"base": 0, "sparsity": 0, "retrain": epochs}
        return Run(
            digest(made_by),
            POINT,
            name,
            level,
            step,
            0,
            self.seed,
            {},
            epochs,
            spent | ({"statistics": passes} if passes else {}),
            stages=(Stage(level, epochs),),
        )

    def _scratch(self, name: str, source: Run) -> Run:
        epochs = sum(source.spent.values())
        made_by = {
            "run": "point",
            "method": name,
            "parents": {"like": source.digest},
            **self._metrics(),
        }
        return Run(
            digest(made_by),
            POINT,
            name,
            source.level,
            source.step,
            0,
            self.seed,
            {"like": source.digest},
            epochs,
            {"base": 0, "sparsity": 0, "retrain": epochs},
        )

    def _dense(self, base: Run, spent: int) -> Iterator[Run]:
        """Train the dense net on until it has had as many epochs as any point."""
        each = self.study.training.retrain_epochs
        previous, step = base, 0
        while each and sum(previous.spent.values()) - base.epochs < spent:
            step += 1
            previous = self._point("dense", [()], step, base, previous, None)
            yield previous


def settings_of(study: StudySpec) -> dict[str, Any]:
    """The whole study as JSON values, defaults included, for the store.

    Without what `secateur tune` searches: a sweep of the study is the same.
    """
    return study.model_dump(mode="json", exclude={"tune"})
