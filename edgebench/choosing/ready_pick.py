"""Prepares a pick: looks up the candidates, the dataset and its image size, the device and its runtimes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgebench.choosing import candidates
from edgebench.choosing.limits import Limits, Prefer, known_classes
from edgebench.choosing.picked import Asked
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.machine import stated
from edgebench.measuring import process
from edgebench.records import account_text
from edgebench.records.account import Account, Reason
from edgebench.records.beginning import Licence
from edgebench.records.probe import Probe
from edgebench.records.recipe import TrainConfig, absolute
from edgebench.specs import Precision
from edgebench.sweeping import site, step_process
from edgebench.sweeping.facts import Facts, Progress, Question, key
from edgebench.sweeping.site import Site
from edgebench.training import at_hand, data, sizing

BUDGET_S = 1800.0
FETCH_SHARE = 0.2  # of the budget, for fetching weights
FAULTS: tuple[Reason, ...] = ("not_a_file", "link_broken", "needs_plugin", "broken")


@dataclass(frozen=True, kw_only=True)
class ReadyPick:
    """A pick that can begin. `images`: how many the dataset has; `began`: the start, by the monotonic clock;
    `account`: what becomes of the files, with every image in use.

    `left_out`: by model, why a candidate was left out from the start. `unavailable`: the same for those of our own
    candidates whose weights cannot be had. `untimed`: by runtime, why it is not measured on.
    """

    asked: Asked
    known: Facts
    site: Site
    images: int
    began: float
    account: Account
    left_out: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    untimed: dict[str, str] = field(default_factory=dict)


def prepare(
    dataset: str, *, runtimes: Sequence[str], device: str | None = None, limits: Limits | None = None,
    prefer: Prefer = "accuracy", budget_s: float = BUDGET_S, models: Sequence[str] = (),
    precisions: Sequence[Precision] = ("fp32",), image_size: int | None = None, init: str = "auto",
    inits: Mapping[str, str] | None = None, licence: Licence = "any", seed: int = 0, layout: str | None = None,
    labels: str | None = None, group_by: str | None = None, near_copies: bool = True, skip_conflicts: bool = False,
    skip_broken: bool = False, race: bool = True, on_weights: Progress = lambda name, done, total: None,
) -> ReadyPick:  # fmt: skip
    """Look up all that a pick is asked for. The budget runs from here.

    `budget_s`: seconds for all of it. `runtimes`: measured on those of them that work here; `models`: by default those
    of candidates.LEARNED whose weights can be had, or candidates.RANDOM if there are none; `image_size`: pixels, by
    default the images' usual size, with learned weights as many as there is time for; `init`: what each candidate
    begins with, unless `inits` says it by model; `layout` to `skip_broken`: as in TrainConfig. `race`: as in Asked.
    Candidates whose weights `licence` does not allow are left out. `on_weights` (name, bytes done, bytes in all) is
    called while weights are fetched. Raises UsageError for settings that cannot be used, BadFile for images that no
    training would take, EdgebenchError if no runtime works.
    """
    began = time.monotonic()
    common = TrainConfig(
        dataset=dataset, image_size=image_size, seed=seed, licence=licence, layout=layout, labels=labels,
        group_by=group_by, near_copies=near_copies, skip_conflicts=skip_conflicts, skip_broken=skip_broken,
    )  # fmt: skip
    common.check()
    stated.check(runtimes, device=device)  # a mistyped name is told before any picture is read
    for model in models:
        at_hand.check_model(model)
    found, inits, limits = data.of(common), inits or {}, limits or Limits()
    known_classes(limits, found.classes)
    account = _checked(found, common)
    ours = not models
    models = tuple(models) or _ours(init)
    if unknown := set(inits) - set(models):
        raise UsageError(f"--init is for {min(unknown)}, which is not a candidate", f"of {', '.join(models)}")
    images = len(found.read().source.labels)
    size = image_size or sizing.usual(found)  # of the networks that begin with random weights
    configs = tuple(replace(common, model=model, init=inits.get(model, init)) for model in models)
    for config in configs:
        config.check()
    here = site.here(device, probes=process.probe_all(list(runtimes)))
    question = Question(
        configs=tuple(map(absolute, configs)), targets=(Asked.target,), refusals=True, offered=ours,
        fetch_s=FETCH_SHARE * budget_s,
    )  # fmt: skip
    known = step_process.ask(question, on_weights)
    began_with = {c.model: b for c in configs if (b := known.beginnings.get(key(absolute(c))))}
    left_out = {model: began.why for model, began in began_with.items() if began.refused}
    allowed = tuple(config for config in configs if config.model in began_with and config.model not in left_out)
    unavailable: dict[str, str] = {}
    if ours and init != "random":
        learned = {config.model for config in allowed if began_with[config.model].learned}
        chosen = learned | set(inits) or set(candidates.RANDOM)
        unavailable = {c.model: began_with[c.model].why for c in allowed if c.model not in learned | chosen}
        allowed = tuple(config for config in allowed if config.model in chosen)
    allowed = tuple(c if began_with[c.model].learned else replace(c, image_size=size) for c in allowed)
    if ours:  # of those that have to learn everything the smallest first: where time is short there is an answer
        order = {model: place for place, model in enumerate(candidates.RANDOM)}
        allowed = tuple(sorted(allowed, key=lambda c: -1 if began_with[c.model].learned else order.get(c.model, 99)))
    if not allowed:
        raise UsageError("; ".join(left_out.values()), "other --models, or leave out --licence")
    working, untimed = _working(runtimes, here)
    asked = Asked(
        configs=allowed, device=here.device, runtimes=working, precisions=tuple(precisions),
        limits=limits, prefer=prefer, budget_s=budget_s, race=race,
    )  # fmt: skip
    return ReadyPick(
        asked=asked, known=known, site=here, images=images, began=began, left_out=left_out, unavailable=unavailable,
        account=account, untimed=untimed,
    )  # fmt: skip


def _checked(dataset: data.Dataset, config: TrainConfig) -> Account:
    """The account of the dataset. Raises BadFile now for what would end each training after minutes."""
    data.check(dataset, config.subset)
    account, known = data.account(dataset, seed=config.seed), dataset.read().left_out
    before = {each.reason: each.count for each in known}  # what a listing of the files leaves out already
    broken = [each for each in account.left_out if each.reason in FAULTS and each.count > before.get(each.reason, 0)]
    if broken and not config.skip_broken:
        raise BadFile(
            f"images that cannot be read: {', '.join(map(account_text.left, broken))}",
            "repair or delete them, or leave them out with --skip-broken",
        )
    return account


def _ours(init: str) -> tuple[str, ...]:
    """The candidates where the user names none."""
    return candidates.RANDOM if init == "random" else tuple(dict.fromkeys((*candidates.LEARNED, *candidates.RANDOM)))


def _working(wanted: Sequence[str], here: Site) -> tuple[tuple[str, ...], dict[str, str]]:
    """The runtimes to measure on, and by runtime why another is not. Raises EdgebenchError if none works."""
    untimed = {}
    for probe in here.probes:
        if probe.name in wanted and (why := _unfit(probe, here.compute)):
            untimed[probe.name] = why
    if not (found := tuple(name for name in wanted if name not in untimed)):
        raise EdgebenchError(
            f"none of {', '.join(wanted)} runs {Asked.target} files here on {here.compute}: "
            f"{'; '.join(f'{name}: {why}' for name, why in untimed.items())}",
            "another --runtime, or `edgebench doctor` says what is missing",
        )
    return found, untimed


def _unfit(probe: Probe, compute: str) -> str:
    if probe.error:
        return f"{probe.error} ({probe.fix})" if probe.fix else probe.error
    if compute not in probe.computes:
        return f"it has no {compute} here" + (f": {probe.lacking[compute]}" if compute in probe.lacking else "")
    return "" if Asked.target in probe.accepts else f"it opens no {Asked.target} files"
