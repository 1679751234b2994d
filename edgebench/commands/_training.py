"""The progress of a training or a probe: a live bar on a terminal; elsewhere a line an epoch, and now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebench.training.listening import Listener, TrainingStep


class TrainingProgress:
    """A live bar on a terminal; elsewhere (a log, CI) a line an epoch."""

    def __enter__(self) -> TrainingProgress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        from edgebench.commands._progress import Phases

        console = Console(stderr=True)
        self._console, self._bar, self._log = console, None, Phases(console)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                console=console,
            )
            self._task = self._bar.add_task("preparing", total=None, figures="")
            self._bar.start()
        return self

    def listener(self) -> Listener:
        """The listener for `training.loop.train`."""
        from functools import partial

        from edgebench.training.listening import Listener

        return Listener(
            on_step=self.show,
            say=self.say,
            on_image=partial(self.preparing, "images"),
            on_answer=partial(self.preparing, "answers of the teacher"),
            on_weights=self.fetching,
        )

    def show(self, step: TrainingStep) -> None:
        figures = f"loss {step.loss:.3f}"
        if step.accuracy is not None:
            figures += f" acc {step.accuracy:.3f}"
        if step.validation_accuracy is not None:
            figures += f" val {step.validation_accuracy:.3f}"
        figures += f" {step.images_per_s:.0f} images/s {_clock(step.seconds_left)} left"
        if self._bar:
            total, done = step.epochs * step.steps, (step.epoch - 1) * step.steps + step.step
            description = f"{step.part} epoch {step.epoch}/{step.epochs}".lstrip()
            self._bar.update(self._task, total=total, completed=done, description=description, figures=figures)
        elif step.step == step.steps and not step.part:  # of a search, a line a setting is enough
            self._console.print(f"epoch {step.epoch}/{step.epochs} {figures}", highlight=False)

    def say(self, sentence: str) -> None:
        self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def preparing(self, what: str, done: int, total: int) -> None:
        if self._bar:
            self._bar.update(self._task, total=total or None, completed=done, description=f"reading {what}")
        elif done == total:
            self._console.print(f"read {total:,} {what}", highlight=False)
        else:
            self._log.update(f"{done:,} of {total:,} {what}" if total else f"{done:,} {what}")

    def counting(self, what: str, done: int, total: int) -> None:
        """So many of `total` images are done; `what` says what is done to them."""
        if self._bar:
            self._bar.update(self._task, total=total or None, completed=done, description=what)
        elif done == total:
            self._console.print(f"{what}: {total:,}", highlight=False)
        else:
            self._log.update(f"{what}: {done:,} of {total:,}" if total else f"{what}: {done:,}")

    def fetching(self, what: str, done: int, total: int) -> None:
        """Learned weights that come from the hub, in bytes."""
        mb = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
        if self._bar:
            description = f"fetching {what}"
            self._bar.update(self._task, total=total or None, completed=done, description=description, figures=mb)
        elif done == total:
            self._console.print(f"fetched {what}: {total / 1e6:.1f} MB", highlight=False)

    def __exit__(self, *exc: object) -> None:
        if self._bar:
            self._bar.stop()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
