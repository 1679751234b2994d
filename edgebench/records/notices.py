"""Notices: typed warnings that are stored with a result, and the table of those that edgebench itself gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """A warning and its remedy. A plug-in may use a code of its own: it is stored and shown like the others."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class NoticeKind:
    """What a code means; `message` and `remedy` have places for the figures.

    disturbs_latency: something besides the model took time, so that `compare` leaves the launch out;
    disturbs_power: something besides the model drew power, so that a power pass is doubtful.
    """

    message: str
    remedy: str
    disturbs_latency: bool = False
    disturbs_power: bool = False


KINDS = {
    # The machine, before and after a launch.
    "powersave_governor": NoticeKind(
        "the CPU governor is powersave: clocks lag behind the load",
        "sudo cpupower frequency-set -g performance, or jetson_clocks on a Jetson",
    ),
    "steal_time": NoticeKind(
        "the hypervisor took {share:.1%} of this machine's CPU time",
        "measure on a machine of your own, or repeat when its neighbours are quiet",
        disturbs_latency=True,
        disturbs_power=True,
    ),
    "swapping": NoticeKind(
        "{pages} pages went to or from swap meanwhile",
        "free memory, or run a smaller model or batch; swap off shows what fits",
        disturbs_latency=True,
        disturbs_power=True,
    ),
    "power_mode_changed": NoticeKind(
        "the power mode changed meanwhile, from {before} to {after}",
        "find out who changes it, or hold it with --power-mode, and measure again",
        disturbs_latency=True,
    ),
    "clocks_changed": NoticeKind(
        "the bounds of the clocks changed meanwhile: {before} became {after} MHz",
        "hold them with --lock-clocks and measure again; if they were held, find out what changes them all the same",
        disturbs_latency=True,
    ),
    "thermal_throttle": NoticeKind(
        "the machine throttled its clocks: {why}",
        "improve cooling or the power supply, let it cool down, or measure in a lower power mode",
        disturbs_latency=True,
        disturbs_power=True,
    ),
    "near_trip": NoticeKind(
        "{zone} is at {now:.0f} °C, and at {trip:.0f} °C the kernel slows the machine down",
        "improve cooling or let it cool down; a longer run may be slower than this one",
    ),
    "clocks_capped": NoticeKind(
        "the fastest core is held at {may} MHz of {could} MHz",
        "if that is meant, these are the figures of that limit; otherwise raise scaling_max_freq (cpupower "
        "frequency-set -u {could}MHz), or see what lowers it: a power profile, or heat",
    ),
    "clock_set": NoticeKind(
        "the machine's clock was set by {step:+,.0f} s meanwhile",
        "the latencies are right, which another clock measures; dates from before it was set are not",
    ),
    "foreign_load": NoticeKind(
        "other processes used {cores:.0%} of a core during this run{who}",
        "stop them and measure again: these figures are not this model's alone",
        disturbs_latency=True,
        disturbs_power=True,
    ),
    "swap_grew": NoticeKind(
        "void: swap grew while it was measured ({where}), on memory that the GPU shares",
        "close other programs, a smaller model or batch, or `sudo swapoff -a` to see what fits",
    ),
    # The model and its runtime.
    "no_steady_state": NoticeKind(
        "no steady state: the latency drifted by {change:+.1%} from the first to the last quarter of a launch",
        "a longer --warmup or --duration; look for throttling or other load",
    ),
    "few_requests": NoticeKind(
        "no median: it takes {needed} requests, and {n} were made in the time that they had",
        "a longer --duration, and more --max-seconds; or a smaller model: this one is slow here",
    ),
    "threads_differ": NoticeKind(
        "{asked} threads were asked for, {used} are used", "ask for what is really used: --threads {used}"
    ),
    "unverified": NoticeKind("{wrong}", "these figures are of a model that gives wrong answers"),
    "fallback": NoticeKind(
        "{strayed}", "its operators or their types are not all that provider's; --strict makes this a failure"
    ),
    "unrepeatable": NoticeKind(
        "{changed} of {given_again} images got another answer when they were given again",
        "another runtime or precision; one thread answers alike where threads race: --threads 1",
    ),
    "slower_than_fp32": NoticeKind(
        "in {precision} it is slower than in fp32 on this runtime and processor: {told}",
        "deploy the fp32 artifact; or another --runtime: `edgebench tune` tries them all",
    ),
    # An adopted model and its inputs.
    "values_steer": NoticeKind(
        "the times are those of generated inputs, and how much it computes depends on their values ({operators})",
        "adopt it with real inputs: `edgebench adopt FILE --inputs FILE.npz`",
    ),
    "reference_varies": NoticeKind(
        "not compared, since {reference} itself does not repeat them: {outputs}",
        "export the model without random numbers, as torch does after model.eval()",
    ),
    "answers_differ": NoticeKind(
        "its answers are not near those of {reference}, though within the wide bounds of {precision}: {told}",
        "judge it by its accuracy on this runtime: `edgebench evaluate`. If it is off on some x86 machines alone, int8 "
        "may overflow, which weights of 7 bits (reduce_range) avoid",
    ),
    # A checkpoint and its floor.
    "not_above_floor": NoticeKind(
        "the network does not clearly beat its floor: {difference:+.1f} points ({low:+.1f} to {high:+.1f})",
        "begin with pretrained weights, train longer, or label more images (`edgebench study samples`); if it stays "
        "so, this task may need no network: {method} is as good",
    ),
    # An accuracy beside what the majority and each class make of it.
    "no_better_than_majority": NoticeKind(
        "the network is no better than always answering {majority!r}: its accuracy is {accuracy}, that of the constant "
        "answer {share}; its balanced accuracy is {balanced} (95 % interval {balanced_low:.1f} to {balanced_high:.1f})",
        "`edgebench train --balance`, more epochs or learned weights; more images of the other classes",
    ),
    "not_above_majority": NoticeKind(
        "the accuracy, {accuracy}, is not clearly above the {share} of always answering {majority!r}: "
        "{difference:+.1f} points ({low:+.1f} to {high:+.1f})",
        "judge it by the recall of the classes that matter (--min-class-recall), and label more test images of them",
    ),
    "class_never_found": NoticeKind(
        "never found: {classes}",
        "label more of them, or show them as often as the others: `edgebench train --balance`",
    ),
    "few_training_images": NoticeKind(
        "fewer than {few} training images: {classes}", "label more of them; a figure of so few says little"
    ),
    # The pictures of a dataset.
    "few_distinct": NoticeKind(
        "class {name!r} has {distinct} distinct pictures: {copies} of its files are copies",
        "add other pictures of it; a copy teaches nothing new",
    ),
    "near_conflict": NoticeKind(
        "groups of near copies under two labels: {count:,}, such as {names}",
        "see which label is right, and delete the other file",
    ),
    "large_group": NoticeKind(
        "{count:,} of {of:,} pictures are one group that no split may part, such as {name}",
        "see whether they are one scene; a finer --group-by, or --no-near-copies, divides it",
    ),
    # The power pass and its meter.
    "power_disagrees": NoticeKind(
        "the energy counter and the integrated power of {meter} differ by {gap:.0%}",
        "a longer --energy-seconds; a newer driver",
    ),
    "power_constant": NoticeKind(
        "{meter} read {power_mw:,.0f} mW all the time", "check whether the sensor still works: `edgebench power`"
    ),
    "idle_was_busy": NoticeKind(
        "the machine was {busy:.0%} busy before the power pass: its idle power is not that of an idle one",
        "stop what else runs; the gross figures stand",
    ),
    "net_negative": NoticeKind(
        "the machine drew less power with the model than idle before it",
        "stop what else runs, or let it settle after clocks were set",
    ),
    "power_pass_disturbed": NoticeKind("in the power pass: {message}", "{remedy}"),
}
DISTURBING_LATENCY = frozenset(code for code, kind in KINDS.items() if kind.disturbs_latency)
DISTURBING_POWER = frozenset(code for code, kind in KINDS.items() if kind.disturbs_power)


def notice(code: str, **figures: object) -> Notice:
    """The notice of that code, with its figures filled in."""
    kind = KINDS[code]
    return Notice(code, kind.message.format(**figures), kind.remedy.format(**figures))
