"""A cut net: the network of one run, on its way from a parent's weights to what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from secateur.data.data import Batch, Data
from secateur.foundation.level import Levels, shares_of, target_of
from secateur.foundation.run_example import moved
from secateur.point import Reached, Score
from secateur.pruning.chosen_layers import ChosenLayers
from secateur.pruning.criterion import INITIAL, SCALES, SCORES, Statistics, needs_of
from secateur.pruning.dynamic_cutter import DynamicCutter
from secateur.pruning.groups import Groups
from secateur.pruning.layers import Layers, Sparsity
from secateur.pruning.masks import Masks
from secateur.pruning.method import Method, Part, is_structured, parts_of
from secateur.pruning.rounds import cut_in_rounds, rounds_of
from secateur.pruning.select import cut
from secateur.pruning.statistics import collected, gather, needs_data
from secateur.pruning.user_scores import checked_scores
from secateur.pruning.weights import prunable_weights, sorted_weights
from secateur.registry import CRITERIA, METHODS
from secateur.spec import MethodSpec
from secateur.study.before_training import TrainingSplit, repair_cut, score_before
from secateur.study.budget import Stage
from secateur.study.checkpoint import load_checkpoint, load_early, save_checkpoint
from secateur.study.job import Job
from secateur.study.late_choice import late_choice
from secateur.study.level_cutter import AlternatingCutter, LevelCutter
from secateur.study.method_settings import (
    files_of,
    layers_of,
    schedule_of,
    settings_for,
    training_for,
)
from secateur.study.run_training import RunTraining
from secateur.study.schedules import alternating, dynamic, gradual, growing
from secateur.study.tensor_files import read_tensors
from secateur.tasks.task import forward
from secateur.training.device import resolve_device
from secateur.training.fit import steps_an_epoch, stream
from secateur.training.learning_rate import hurt, retraining_rates
from secateur.verbs.target import reach
from secateur.verbs.units import SharedUnits, groups_of

_EXAMPLES = 2


def _room(limit: float) -> float:
    """A file's size at the cut, so that it is no larger than the limit after retraining.

    Retrained weights compress a little worse, and the file says what was measured of its net.
    """
    return 0.98 * limit - 1200


class CutNet:
    """A network on its way from a parent's weights to a measured point.

    Args:
        job: The run.
        data: The study's.
    """

    def __init__(self, job: Job, data: Data) -> None:
        self.job = job
        self.data = data
        self.loop = job.setup.loop()
        self.example = moved(data.example(_EXAMPLES), "cpu")
        build = job.setup.build_base if job.run.is_base else job.setup.build_model
        self.model = build(data, job.run.seed)
        self.method: Method = METHODS[job.run.method]
        self.masks = Masks({})
        self.reached: Reached | None = None
        self.before: tuple[Score, ...] | None = None
        self.sum = ""
        self.training = RunTraining(job, data, self.loop, self.example)

    @property
    def layers(self) -> Layers:
        """The study's choice of layers for the method."""
        return Layers(**layers_of(self.job.study, self.job.run.method))

    @property
    def parts(self) -> tuple[Part, ...]:
        """The method's cuts, with the study's settings."""
        parts = parts_of(self.method, self.options)
        scored = "scores" in self.files
        return tuple(replace(part, criterion=SCORES) for part in parts) if scored else parts

    @property
    def files(self) -> dict[str, str]:
        """The study's files of scores and masks for the method."""
        return files_of(self.job.study, self.job.run.method)

    @property
    def options(self) -> MethodSpec:
        """The study's settings of the method."""
        return settings_for(self.job.study, self.job.run.method)

    @property
    def _schedule(self) -> str:
        return schedule_of(self.job.study, self.job.run.method)

    def advance(self) -> None:
        """Cut and train, stage by stage; of a base run nothing is cut.

        A copied method's net is cut anew, from its initial weights.
        """
        run = self.job.run
        if not run.stages:
            if "like" in run.parents:
                masks = load_checkpoint(*self.job.parent("like"))[1]
                self.masks = (masks or Masks({})).apply(self.model)
                self.before = score_before(self.model, self.job, self.data)
            self.training.train(self.model, self.masks, run.epochs, run.depth)
            return
        previous = self.load()
        ways = {
            "gradual": self._cut_and_train,
            "alternating": self._cut_and_train,
            "growing": self._grow_and_train,
        }
        way = ways.get(self._schedule, self._cut_then_train)
        first = run.depth - len(run.stages) + 1
        for depth, stage in enumerate(run.stages, start=first):
            way(stage, depth, previous)
            previous = self.masks

    def _cut_then_train(self, stage: Stage, depth: int, previous: Masks | None) -> None:
        training = training_for(self.job.study, self.job.run.method)
        dense: dict[str, Tensor] = {}
        if training.retrain == "adaptive":  # the one recipe that goes by what was lost
            dense = {name: one.detach().clone() for name, one in self.model.named_parameters()}
        self.masks = self._cut(stage.level, previous)
        repair_cut(self.model, self.masks, self.job, self.data)
        if stage is self.job.run.stages[-1]:
            self.before = score_before(self.model, self.job, self.data)
        rates = None
        if self.method.start == "trained":
            lost = hurt(dense, self.masks) if dense else 1.0
            rates = retraining_rates(training, stage.epochs, lost)
        if rates is not None and training.kept_epoch is not None:
            self.model.load_state_dict(self._early())
            self.masks.apply(self.model)
        if self._schedule == "dynamic":
            plan, growth = dynamic(self._steps(stage), self.options), self.options.growth
            seed = stream(self.job.run.seed, "growth")
            cutter = DynamicCutter(self.masks, plan, growth or "gradient", seed, previous)
            self.masks = self.training.train_and_cut(self.model, cutter, stage.epochs, depth, rates)
        else:
            self.training.train(self.model, self.masks, stage.epochs, depth, rates)

    def _early(self) -> dict[str, Tensor]:
        """The weights that a cut net goes back to: those that its dense net kept, or the first."""
        if self.job.study.training.kept_epoch is not None:
            return load_early(*self.job.parent("base"))
        return self.job.setup.build_model(self.data, self.job.run.seed).state_dict()

    def _cut_and_train(self, stage: Stage, depth: int, previous: Masks | None) -> None:
        """Cut while training; there is no moment between the two to be scored."""
        self.before = ()
        rates = None
        if self.method.start == "trained":
            rates = retraining_rates(self.job.study.training, stage.epochs)
        by_turns = self._schedule == "alternating"
        course = (alternating if by_turns else gradual)(self._steps(stage), self.options)
        cutter = (AlternatingCutter if by_turns else LevelCutter)(
            self.parts,
            shares_of(stage.level),
            course,
            groups_of=lambda part: groups_of(self.model, part, self.example, self.layers),
            statistics=self.statistics(self.model),
            previous=previous,
            layers=self.layers,
        )
        self.masks = self.training.train_and_cut(self.model, cutter, stage.epochs, depth, rates)

    def _steps(self, stage: Stage) -> int:
        return stage.epochs * steps_an_epoch(self.data, self.job.study.training)

    def _grow_and_train(self, stage: Stage, depth: int, previous: Masks | None) -> None:
        """Choose what goes, and cut it while training, once a penalty has emptied it."""
        training = self.job.study.training
        self.before = ()
        state = {name: one.clone() for name, one in self.model.state_dict().items()}
        chosen = self._cut(stage.level, previous)
        self.model.load_state_dict(state)
        again = None
        if self.options.choose_at is not None:
            asked = (self.reached.sparsity,) if self.reached else shares_of(stage.level)
            again = late_choice(
                self.parts,
                asked,
                groups_of=lambda part: groups_of(self.model, part, self.example, self.layers),
                statistics=self.statistics(self.model),
                previous=previous,
                layers=self.layers,
            )
        cutter = growing(chosen, self._steps(stage), self.options, previous, again)
        rates = retraining_rates(training, stage.epochs)
        self.masks = self.training.train_and_cut(
            self.model, cutter, stage.epochs, depth, rates, cutter.penalty
        )

    def _cut(self, level: Levels, previous: Masks | None) -> Masks:
        """The masks of a level, applied; of a target at the sparsity that reaches it."""
        target, rounds = target_of(level), 1 if "scores" in self.files else rounds_of(self.parts)
        known = self.statistics(self.model) if rounds == 1 else None
        units = SharedUnits(self.model, self.example, self.layers)

        def cut_once(net: nn.Module, asked: Sequence[Sparsity], before: Masks | None) -> Masks:
            own = units if rounds == 1 else SharedUnits(net, self.example, self.layers)
            masks = cut(
                net,
                self.parts,
                asked,
                groups_of=own.of,
                statistics=self.statistics(net) if known is None else known,
                previous=before,
                layers=self.layers,
            )
            return units.sign(masks) if rounds == 1 else masks

        def cut_at(net: nn.Module, asked: Sequence[Sparsity]) -> Masks:
            return cut_in_rounds(net, asked, rounds, previous, cut_once)

        if target is None:
            return cut_at(self.model, shares_of(level)).apply(self.model)
        room: Callable[[float], float] = _room if target.cost == "bytes" else float
        self.reached = reach(
            self.model,
            target,
            lambda net, share: cut_at(net, (share,)),
            self.example,
            structured=is_structured(self.parts),
            room=room,
        )
        return cut_at(self.model, (self.reached.sparsity,)).apply(self.model)

    def load(self) -> Masks | None:
        """Take the weights that the run starts from; the masks that they came with.

        A method at initialisation starts from those that the net was built with.
        """
        previous = None
        if self.method.start == "trained":
            state, previous = load_checkpoint(*self.job.parent(self._start()))
            self.model.load_state_dict(state)
        if "masks" not in self.files:
            return previous
        own = Masks(self._tensors("masks"))
        return own if previous is None else previous.merged(own)

    def _tensors(self, kind: str) -> dict[str, Tensor]:
        path, setup = self.files[kind], self.job.setup
        return read_tensors(path, setup.contents, setup.file(path))

    def _start(self) -> str:
        """The role of the run whose net is cut: its preparation's, where that gives a net."""
        if "previous" in self.job.run.parents:
            return "previous"
        prepare = self.method.prepare
        return prepare.name if prepare is not None and prepare.gives_net else "base"

    def free_groups(self) -> tuple[Groups, ...]:
        """Of each part that cuts filters or channels, those that the choice of layers leaves."""
        weights = sorted_weights(self.model, prunable=self.job.study.prunable).weights
        chosen = ChosenLayers(self.model, self.layers)
        found = [
            groups_of(self.model, part, self.example, self.layers)
            for part in self.parts
            if part.cuts_channels
        ]
        return tuple(chosen.free(groups, weights, 0.0)[0] for groups in found)

    def statistics(self, net: nn.Module) -> Statistics:
        """What the method's criteria need: prepared, kept from before, or gathered now.

        Args:
            net: What is to be cut.
        """
        run, method = self.job.run, self.method
        found: dict[str, Mapping[str, Tensor]] = {}
        if "scores" in self.files:
            given = self._tensors("scores")
            weights = prunable_weights(net, prunable=self.job.study.prunable)
            found[SCORES] = checked_scores(given, weights)
        elif method.prepare is not None and not method.prepare.gives_net:
            prepared = load_checkpoint(*self.job.parent(method.prepare.name))[0]
            found[method.prepare.gives] = prepared
        if INITIAL in needs_of(CRITERIA[part.criterion] for part in self.parts):
            initial = self.job.setup.build_model(self.data, run.seed)
            found[INITIAL] = dict(initial.named_parameters())
        names = collected(self.parts)
        if names:
            device = resolve_device(self.job.device)
            alone = not all(map(needs_data, names))
            found |= gather(
                net.to(device),
                names,
                TrainingSplit(self.data, self.job.study.training.batch_size),
                self._loss,
                example_inputs=moved(self.example, device) if alone else None,
                prunable=self.job.study.prunable,
            )
            net.cpu()
        scales = found.pop(SCALES, {})
        return Statistics(scales=scales, seed=stream(run.seed, "random"), gathered=found)

    def _loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """What training minimises."""
        return self.loop.task.loss(forward(model, batch[0]), batch)

    def save(self) -> None:
        """Write the net's weights and masks as the run's checkpoint; `sum` is that of its bytes.

        Raises:
            UsageError: The user's code or the data were changed while the run went on.
        """
        self.job.setup.check_unchanged(self.data)
        file, early = self.job.output, self.training.early
        self.sum = save_checkpoint(file, self.model.state_dict(), self.masks, early)
