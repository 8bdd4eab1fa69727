"""The commands. Exit codes: 0 done, 2 bad parameters, 3 data or model missing or damaged, 4 a job failed, 130 stopped."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Annotated, Literal

import typer

from .errors import DataError, ParameterError, XittError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Cross-lingual intermediate-task training: run studies, read their results.",
)

StudyFile = Annotated[str, typer.Argument(metavar="PARAMS", help="A study file (params/pocket.yaml) or its bare name.")]


@app.command()
def run(
    params: StudyFile,
    jobs: Annotated[int | None, typer.Option(min=1, help="Notebooks at a time; default: one per GPU, else 2.")] = None,
    only: Annotated[str | None, typer.Option(metavar="GLOB", help="Only jobs that match, and what they need.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the jobs and run nothing.")] = False,
    force: Annotated[str | None, typer.Option(metavar="GLOB", help="Compute matching jobs again.")] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Run on the workers of this Dask scheduler (tcp://host:8786, or its file)."
        ),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Run the I-th of N parts, as one task of a job array.")
    ] = None,
) -> None:
    """Run a study: every notebook whose results are not there yet, then the report. Stop and start at will."""
    from . import batch, results, shards
    from . import report as site
    from .study import load_study

    study = load_study(params)
    batch.check_notebooks(study)
    part = shards.parse(shard) if shard else None
    if dask and (jobs or part):
        raise ParameterError("--dask goes without --jobs and --shard: the cluster says how many jobs run at a time")
    if dry_run:
        for line in batch.dry_run(study, only, part):
            typer.echo(line)
        return
    _quick_checks(study)
    if only is None:
        # beside the notebooks' imports, when a core has nothing to do: the report is not to wait for its own
        threading.Thread(target=site.prepare).start()
    batch.run(study, jobs, only, force, say=_say, dask=dask, shard=part)
    tidy = results.collect(study)
    _say(f"results: {results.write(study, tidy)}")
    if only is None and (part is None or batch.all_done(study)):
        _say(f"report: {site.write(study, tidy)}")


def _quick_checks(study) -> None:
    """Find out before hours pass that the data folder or the backbone is not there."""
    from . import data, translated
    from .backbone import fetch
    from .own import open_checkpoint

    for target in study.targets:
        for language in data.languages(study, target):
            data.check_there(study, target, "test", language)
    for name in {*study.intermediate_tasks, *(study.tasks[t].train for t in study.trained_targets)} & set(
        study.params.tasks
    ):
        for split in ("train", "dev"):
            if split in study.tasks[name].source.splits:
                data.check_there(study, name, split, "en")
    translated.check(study)
    if study.params.backbone.build is None:
        fetch(study.params.backbone, study.root, study.params.data.offline)
    for checkpoint in study.checkpoints.values():
        open_checkpoint(checkpoint, study.path, study.root, study.params.data.offline)


@app.command()
def status(params: StudyFile) -> None:
    """What is done, running, failed and waiting, and how long still."""
    from . import status as standing
    from .study import load_study

    for line in standing.lines(load_study(params)):
        typer.echo(line)


@app.command()
def report(params: StudyFile) -> None:
    """Write outputs/<study>/report/index.html from whatever is there."""
    from . import report as site
    from . import results
    from .study import load_study

    study = load_study(params)
    tidy = results.collect(study)
    results.write(study, tidy)
    _say(f"report: {site.write(study, tidy)}")


@app.command()
def publish(params: StudyFile) -> None:
    """Copy a finished report and results.csv to docs/<study>/; refuses one made from uncommitted code."""
    from . import report as site
    from .study import load_study

    _say(f"published: {site.publish(load_study(params))}")


@app.command()
def backbone(
    params: StudyFile,
    ship: Annotated[bool, typer.Option("--ship", help="Put it into the package, in place of the shipped one.")] = False,
) -> None:
    """Build a study's backbone by its recipe, also where a shipped one would do."""
    from . import pretrained
    from .study import load_study

    study = load_study(params)
    if study.params.backbone.build is None:
        raise ParameterError(f"{study.path}: the backbone has no `build:` recipe; it is fetched, not built")
    run = pretrained.build_backbone(study)
    _say(f"backbone: {run.model}")
    if ship:
        _say(f"shipped: {pretrained.ship_backbone(study)}")


@app.command()
def results(
    params: StudyFile,
    format: Annotated[Literal["csv", "md", "latex", "json"], typer.Option(help="Form of the table.")] = "csv",
) -> None:
    """Print the tidy results (csv, json) or the main table with intervals (md, latex)."""
    from .show import render_results
    from .study import load_study

    typer.echo(render_results(load_study(params), format), nl=False)


@app.command()
def tasks(
    params: Annotated[str | None, typer.Argument(metavar="[PARAMS]")] = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="Write the commits of PARAMS' hub repositories to its lock file.")
    ] = False,
) -> None:
    """Every task: source, revision, languages, sizes, licence; with a study, its tasks and whether their data can be had now."""
    from . import inventory, lock
    from .study import load_study

    if pin:
        if params is None:
            raise ParameterError("--pin needs a study: xitt tasks PARAMS --pin")
        for line in lock.pin(load_study(params)):
            _say(line)
        return
    for line in inventory.lines(load_study(params) if params else None):
        _say(line)


@app.command()
def submission(
    params: StudyFile,
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder to write; new or empty.")],
    version: Annotated[str, typer.Option(metavar="xtreme|xtreme-r", help="Which benchmark.")],
    intermediate: Annotated[str, typer.Option(metavar="NAME|best", help="best: by English dev scores.")] = "best",
    seed: Annotated[int | None, typer.Option(help="Default: the study's first.")] = None,
    protocol: Annotated[
        str, typer.Option(metavar="strict|paper", help="BUCC's threshold: sample set, scored gold.")
    ] = "strict",
    partial: Annotated[bool, typer.Option("--partial", help="Write what is there; tasks may be missing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier submission.")] = False,
) -> None:
    """Write the folder that XTREME's evaluation reads, from stored predictions; exit code 3 if some are missing."""
    from . import submission as folder
    from .study import load_study

    manifest = folder.write(load_study(params), version, out, intermediate, seed, protocol, partial, force)
    for line in folder.lines(manifest):
        _say(line)
    _say(f"submission: {out}")


@app.command()
def plan(
    params: StudyFile,
    design: Annotated[str | None, typer.Option(metavar="NAME", help="Only this design of the study.")] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A measured machine or a GPU (H100, A100, L4 ...); default: this."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Notebooks at a time here; default: one per GPU, else two.")
    ] = None,
) -> None:
    """What a study will cost: jobs, tokens, FLOPs and hours per phase, and what that is estimated from."""
    from . import plan as planning
    from .study import load_study

    for line in planning.lines(load_study(params), design, device, jobs):
        _say(line)


@app.command()
def doctor(params: Annotated[str | None, typer.Argument(metavar="[PARAMS]")] = None) -> None:
    """Whether all is here that xitt, or a study, needs; each problem with its remedy, and exit code 3."""
    from . import doctor as examination
    from .study import load_study

    found = examination.examine(load_study(params) if params else None)
    for line in examination.lines(found):
        _say(line)
    if any(f.state == examination.MISSING for f in found):
        raise typer.Exit(DataError.exit_code)


@app.command()
def clean(
    params: StudyFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would go, with sizes, and delete nothing.")
    ] = False,
) -> None:
    """Delete what no result hangs on: checkpoints of finished runs, runs of older specifications, what was set aside."""
    from . import clean as leftovers
    from .study import load_study

    study = load_study(params)
    for line in leftovers.lines(study, leftovers.clean(study, dry_run), dry_run):
        _say(line)


@app.command()
def bench(
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="[training|inference|retrieval|linearity]...", help="Default: all.")
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="cpu|cuda", help="Default: a GPU if there is one.")] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="float32|bfloat16", help="Default: float32 on a CPU.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="pocket|small|large", help="Of the model; default: small on a CPU, else large."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder with hub/; default: XITT_DATA, else rows made here (none)."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Times each side runs, in turns.")] = 3,
    shapes: Annotated[str | None, typer.Option(metavar="nli,squad,pos", help="Kinds of data; default: all.")] = None,
    steps: Annotated[int | None, typer.Option(min=2, help="Optimizer steps per repeat.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Test sentences per set for inference; 0: all.")] = 1000,
    prepare: Annotated[int, typer.Option(min=0, help="Steps that the model for inference is trained before.")] = 60,
    rows: Annotated[int, typer.Option(min=10, help="Retrieval: vectors on each side.")] = 20_000,
    width: Annotated[int, typer.Option(min=1, help="Retrieval: width of the vectors.")] = 1024,
    attention_dropout: Annotated[
        bool, typer.Option(help="Dropout of attention weights in training, on all sides alike.")
    ] = True,
    memory: Annotated[float, typer.Option(min=0.01, help="Retrieval: GiB beside the vectors.")] = 2.0,
    alone: Annotated[bool, typer.Option("--alone", help="Without the peers: a very long search, for example.")] = False,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Default: outputs/bench/<device>-<time>.json.")
    ] = None,
    store: Annotated[bool, typer.Option("--store", help="Keep the figures in docs/performance/ too.")] = False,
) -> None:
    """Measure the engine beside Trainer and FAISS; what is finished is on disk at once. About 20 minutes on two cores."""
    from pathlib import Path

    from .bench import command

    command.main(command.chosen(parts), device, precision, size, data, repeats, shapes, Path(out) if out else None, store, steps=steps,
                 examples=examples or None, prepare=prepare, rows=rows, width=width, memory=memory, alone=alone, attention_dropout=attention_dropout)  # fmt: skip


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Entry point: one readable message and an exit code for every error a user can act on."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace")
    try:
        code = app(standalone_mode=False)  # typer turns Ctrl-C into a returned 130
        if code == 130:
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except XittError as error:
        print(f"xitt: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        from .integrity import is_full

        if isinstance(error, BrokenPipeError):
            sys.exit(0)
        if not is_full(error):
            raise
        place = f" ({error.filename})" if error.filename else ""
        print(f"xitt: the disk is full{place}; make room (`xitt clean PARAMS` lists what is not needed), then give the same command again",
              file=sys.stderr)  # fmt: skip
        sys.exit(DataError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        from . import batch

        batch.stop()
        print("\nxitt: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line
            print(f"xitt: {error.format_message()}", file=sys.stderr)
            sys.exit(ParameterError.exit_code)
        raise


if __name__ == "__main__":
    main()
