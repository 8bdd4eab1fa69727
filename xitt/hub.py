"""The Hugging Face Hub: one split of one config of a repository at one commit, or the files of a model.

A revision is first resolved to its commit, and everything after that asks for the commit: what is read is what the
record says. Data prepared once are read again without a request. Errors of the clients (a dozen classes) become one
message that names repository, config, split and revision; what may pass by itself (a cut connection, status 429 or 5xx) is
tried again, what will not (no such repository, revision, config or split) is not.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import DataError, unknown

#: seconds before the second, third ... try, on top of what the hub's client tries by itself
WAITS = (2.0, 8.0)
_LONGEST_WAIT = 60.0  # a server may ask for more; then the user should know instead
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASH = "[0-9a-f]" * 16  # of a folder of prepared data


def is_commit(revision: str) -> bool:
    """Whether a revision is a commit (40 hex digits) and not the name of one."""
    return _COMMIT.fullmatch(revision) is not None


def is_offline(offline: bool = False) -> bool:
    """Whether the network is off limits: by the study's ``data.offline`` or by ``HF_HUB_OFFLINE``."""
    from huggingface_hub import constants

    return offline or constants.HF_HUB_OFFLINE


@lru_cache(maxsize=256)
def commit(repository: str, revision: str = "main", kind: str = "dataset", offline: bool = False) -> str:
    """The commit that a revision names: 40 hex digits. The hub is asked once per process.

    Parameters
    ----------
    kind : str
        ``dataset`` or ``model``.
    offline : bool
        Take the commit the name had when it was last asked for on this machine.

    Raises
    ------
    DataError
        If repository or revision do not exist, or the hub cannot be asked. A commit is returned as it is: whether the hub
        has it is found out by loading, or by :func:`check_commit`.
    """
    if is_commit(revision):
        return revision
    seen = _cache_folder(repository, kind) / "refs" / revision
    if is_offline(offline):
        if not seen.is_file():
            raise DataError(f"{repository}@{revision}: not in the cache, and the hub may not be asked {_why(offline)}")
        return seen.read_text().strip()
    found = check_commit(repository, revision, kind)
    with contextlib.suppress(OSError):  # a shared cache may be read-only; only work offline needs the note
        seen.parent.mkdir(parents=True, exist_ok=True)
        aside = seen.with_name(f"{seen.name}.{os.getpid()}")
        aside.write_text(found)
        aside.replace(seen)
    return found


def check_commit(repository: str, revision: str, kind: str = "dataset") -> str:
    """Ask the hub for the commit of a revision, past every cache.

    Raises
    ------
    DataError
        As :func:`commit`; also for a commit that the hub does not have.
    """
    from huggingface_hub import HfApi

    _quiet()
    info = _patiently(
        lambda: HfApi().repo_info(repository, revision=revision, repo_type=kind), repository, revision, kind
    )
    if not is_commit(info.sha or ""):
        raise DataError(f"{repository}@{revision}: the hub's answer names no commit ({info.sha!r})")
    return info.sha


def read(repository: str, config: str, split: str, revision: str = "main", offline: bool = False):
    """One split of a config at a revision, as a ``datasets.Dataset``; only files of that config are fetched.

    Raises
    ------
    DataError
        Naming repository, config, split and revision: no such revision (with those there are), config or split (likewise), a
        damaged file, no network and no cache.
    """
    import datasets

    _quiet_datasets()
    where = f"{repository} {config} {split} at {revision[:12] if is_commit(revision) else revision}"
    try:
        at = commit(repository, revision, "dataset", offline)
    except DataError as error:
        raise DataError(str(error).replace(f"{repository}@{revision}", where, 1)) from error.__cause__
    # one per commit: with no network the library takes whatever commit it finds
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "xitt" / at[:16]
    if (rows := _prepared(cache, config, split, at, where)) is not None:
        return rows
    if is_offline(offline):
        raise DataError(
            f"{where}: {repository}@{at[:12]} is not in the cache, and the hub may not be asked {_why(offline)}"
        )
    return _patiently(
        lambda: datasets.load_dataset(repository, config, split=split, revision=at, cache_dir=str(cache)), repository, at,
        where=where,
    )  # fmt: skip


def read_folder(path: Path, config: str, split: str):
    """One split of a config from a folder in hub layout, as a ``datasets.Dataset``.

    Raises
    ------
    DataError
        If it is not there or damaged.
    """
    import datasets

    _quiet_datasets()
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "xitt" / _state(path, config)
    if (rows := _prepared_folder(cache, path, config, split)) is not None:
        return rows
    try:
        return datasets.load_dataset(str(path), config, split=split, cache_dir=str(cache))
    except Exception as error:  # any of a dozen classes of datasets and pyarrow
        raise DataError(f"{path} {config} {split}: cannot be loaded: {_first_line(error)}") from error


def snapshot(repository: str, revision: str, patterns: list[str], offline: bool = False) -> Path:
    """A model's files that match ``patterns``, in the hub client's cache, in a folder named by their commit.

    Raises
    ------
    DataError
        As :func:`read`.
    """
    from huggingface_hub import snapshot_download

    _quiet()
    at, only_here = commit(repository, revision, "model", offline), is_offline(offline)

    def fetch() -> str:
        return snapshot_download(repository, revision=at, allow_patterns=patterns, local_files_only=only_here)

    if not only_here:
        return Path(_patiently(fetch, repository, at, "model"))
    try:
        return Path(fetch())
    except OSError as error:  # what the client raises for files that are not in its cache
        raise DataError(
            f"{repository}@{at[:12]}: not in the cache, and the hub may not be asked {_why(offline)}"
        ) from error


# --- caches --------------------------------------------------------------------------------------------------------
def _cache_folder(repository: str, kind: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=kind)


def _prepared(cache: Path, config: str, split: str, at: str, where: str):
    """A split that was prepared before, or None; ``datasets`` would ask the hub half a dozen things first."""
    known = next(cache.glob(f"*/{glob.escape(config)}/*/{at}/dataset_info.json"), None)
    return None if known is None else _opened(known, split, where)


def _prepared_folder(cache: Path, path: Path, config: str, split: str):
    """The same of a folder, or None; ``datasets`` would look at all its files first, a tenth of a second for each split.

    The card (names of labels, files of a split) is no part of the cache's name: what was prepared before its last change does not count.
    The time of that change is the inode's, which copying a file with its times does not turn back.
    """
    if not _files(path, config):  # its state would be that of any files elsewhere
        return None
    card = path / "README.md"
    changed = card.stat().st_ctime_ns if card.is_file() else 0
    # not those that another process is about to finish (`….incomplete`)
    known = [
        p for p in cache.glob(f"*/{glob.escape(config)}/*/{_HASH}/dataset_info.json") if p.stat().st_mtime_ns > changed
    ]
    if len(known) != 1 or split not in json.loads(known[0].read_text(encoding="utf-8"))["splits"]:
        return None
    return _opened(known[0], split, f"{path} {config} {split}")


def _opened(known: Path, split: str, where: str):
    """A split of what was prepared, from its Arrow files."""
    import datasets

    splits = json.loads(known.read_text(encoding="utf-8"))["splits"]
    if split not in splits:
        raise DataError(f"{where}: {unknown('split', split, splits)}")
    files = [*known.parent.glob(f"*-{split}.arrow"), *sorted(known.parent.glob(f"*-{split}-?????-of-?????.arrow"))]
    rows = datasets.concatenate_datasets([datasets.Dataset.from_file(str(f)) for f in files]) if files else None
    if rows is None or len(rows) != splits[split]["num_examples"]:
        raise DataError(f"{where}: {known.parent} is damaged (rows are missing); delete it, and it is made again")
    return rows


def _state(path: Path, config: str) -> str:
    """A name for each state of a folder's files: the library's own key is the folder's card, not its files."""
    state = [str(path), *((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in _files(path, config))]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def _files(path: Path, config: str) -> list[Path]:
    """Files of a config in a folder: in one of its name, or in ``data``."""
    return sorted(p for part in (config, "data") for p in (path / part).glob("*") if p.is_file())


def _drop_damaged(repository: str, at: str) -> list[str]:
    """Remove parquet files that are not whole from the client's cache; returns their paths in the repository."""
    import pyarrow.parquet

    folder, dropped = _cache_folder(repository, "dataset") / "snapshots" / at, []
    for file in sorted(folder.rglob("*.parquet")):
        try:
            pyarrow.parquet.read_metadata(file)
        except (OSError, ValueError):  # ArrowInvalid is a ValueError
            dropped.append(file.relative_to(folder).as_posix())
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)
    return dropped


# --- trying, and saying what went wrong ------------------------------------------------------------------------------
def _quiet() -> None:
    """No reports of the hub's client; what matters of them is in our messages."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _quiet_datasets() -> None:
    """The same of ``datasets``, no progress bars, and no request beside those for the data."""
    import datasets

    _quiet()
    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # a request to another host for each load


def _patiently(
    action: Callable[[], Any], repository: str, revision: str, kind: str = "dataset", where: str = ""
) -> Any:
    """Do it, again after a pause where the trouble may pass; DataError where it does not."""
    for wait in (*WAITS, None):
        try:
            return action()
        except Exception as error:  # a dozen classes of two hub clients, datasets and pyarrow
            asked = _asked_to_wait(error) if _may_pass(error) and wait is not None else None
            if asked is None or asked > _LONGEST_WAIT:
                said = _explain(error, repository, revision, kind)
                raise DataError(f"{where or f'{repository}@{revision}'}: {said}") from error
            time.sleep(max(wait, asked))
    raise AssertionError("unreachable")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _names(error: BaseException) -> set[str]:
    """Class names, up to the top: the hub client's HTTP library has changed its name, its classes have not."""
    return {c.__name__ for e in _chain(error) for c in type(e).__mro__}


def _status(error: BaseException) -> int | None:
    """HTTP status of the answer that an error came from."""
    responses = (getattr(e, "response", None) for e in _chain(error))
    return next((r.status_code for r in responses if r is not None), None)


def _may_pass(error: BaseException) -> bool:
    status = _status(error)
    if status is not None:
        return status == 429 or status >= 500
    names = _names(error)
    if names & {
        "ConnectError",
        "OfflineModeIsEnabled",
    }:  # no way to the server at all: the client has tried often enough
        return False
    incomplete = "Consistency check failed" in str(error)  # a body that ended early without a word
    return incomplete or bool(names & {"TransportError", "TimeoutError", "ConnectionError"})


def _asked_to_wait(error: BaseException) -> float:
    """Seconds from a ``Retry-After`` header, or 0."""
    responses = (getattr(e, "response", None) for e in _chain(error))
    value = next((r.headers.get("Retry-After", "") for r in responses if r is not None), "")
    return float(value) if value.isdigit() else 0.0


def _explain(error: Exception, repository: str, revision: str, kind: str) -> str:
    """One message for what the libraries said."""
    said = (
        _refused(error, repository, revision, kind) or _not_listed(str(error)) or _damaged(error, repository, revision)
    )
    if said:
        return said
    if _may_pass(error):
        answer = f"status {_status(error)}" if _status(error) else _first_line(error)
        return f"the hub failed {len(WAITS) + 1} times in a row ({answer}); try again later: what is done is kept"
    if "data_files" in str(error) or "DataFilesNotFoundError" in _names(error) or "Unable to find" in str(error):
        return (
            f"the repository's card names this config, but its files are not in the repository ({_first_line(error)})"
        )
    if _names(error) & {"ConnectError", "ConnectionError"}:
        return f"the hub cannot be reached ({_first_line(error)}); HF_HUB_OFFLINE=1 uses what is in the cache"
    return f"cannot be loaded: {_first_line(error)}"


def _refused(error: Exception, repository: str, revision: str, kind: str) -> str | None:
    """What the hub answered, in our words."""
    names, status = _names(error), _status(error)
    if "RevisionNotFoundError" in names:
        return _no_revision(repository, revision, kind)
    if "GatedRepoError" in names or status == 403:
        return f"{repository} wants its terms accepted: ask for access on its page, then log in with `hf auth login`"
    if "RepositoryNotFoundError" in names or status == 401:
        return f"the hub has no {kind} repository {repository} (or it is private: log in with `hf auth login`)"
    return None


def _not_listed(text: str) -> str | None:
    """A config or a split that is not there, with those that are, from what ``datasets`` says of it."""
    listed = re.search(r"(BuilderConfig|Unknown split) ['\"](.+?)['\"].*?\[(.*)\]", text, re.DOTALL)
    if listed is None:
        return None
    what = "config" if listed[1] == "BuilderConfig" else "split"
    return unknown(what, listed[2], sorted(re.findall(r"'([^']+)'", listed[3])))


def _damaged(error: Exception, repository: str, revision: str) -> str | None:
    """Files that arrived and are not parquet; dropped, or every later try would read them from the cache."""
    dropped = _drop_damaged(repository, revision) if _names(error) & {"ArrowInvalid", "DatasetGenerationError"} else []
    if not dropped:
        return None
    return (
        f"{', '.join(dropped)} is damaged: not a whole parquet file\n"
        "  it was removed from the cache and is fetched again at the next try; if it stays so, the hub's copy is damaged"
    )


def _no_revision(repository: str, revision: str, kind: str) -> str:
    if is_commit(revision):
        return (
            f"{repository} has no commit {revision} on the hub, or no longer\n"
            "  if a lock file names it: delete its entry there and run `xitt tasks PARAMS --pin` again"
        )
    from huggingface_hub import HfApi

    try:
        refs = HfApi().list_repo_refs(repository, repo_type=kind)
    except Exception:  # the list is a courtesy
        return f"{repository} has no revision {revision!r}"
    return unknown(f"revision of {repository}", revision, [r.name for r in (*refs.branches, *refs.tags)])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _why(offline: bool) -> str:
    return "(data.offline is set)" if offline else "(HF_HUB_OFFLINE is set)"
