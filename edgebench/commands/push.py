"""`edgebench push`: a folder to deploy as a model on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import click

from edgebench.commands import _options


@click.command(
    epilog="""\b
Examples:
  edgebench push picked my-team/gripper-check
  edgebench push picked my-team/gripper-check --public --licence apache-2.0"""
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("name", metavar="OWNER/NAME")
@click.option("--public", is_flag=True, help="Everybody may see and fetch it; needs --licence.")
@click.option("--licence", default="", metavar="ID", help="The model's licence, as the hub calls it: apache-2.0, mit.")
@click.option(
    "--evidence", is_flag=True, help="Send evidence/ too: all samples, and a description of the machine that measured."
)
@_options.as_json
def command(folder: Path, name: str, public: bool, licence: str, evidence: bool, as_json: bool) -> None:
    """Publish a folder that `edgebench pick` made on the Hugging Face hub, with its model card.

    The model is private unless you say --public. All files go in one commit. Who you are is known from `hf auth login`
    or the variable HF_TOKEN.
    """
    from rich.console import Console

    from edgebench.records import jsonio
    from edgebench.records.terminal import printable
    from edgebench.report import publishing

    with Console(stderr=True).status("sending the files"):
        done = publishing.push(folder, name, public=public, licence=licence, evidence=evidence)
    if as_json:
        click.echo(jsonio.dumps(done, indent=1))
        return
    who = "private" if done.private else "public"
    click.echo(f"{len(done.files)} files: {printable(done.address)} ({who}, commit {done.commit[:8]})")
