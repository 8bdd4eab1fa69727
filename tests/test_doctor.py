"""The doctor: every problem is seen, with its remedy, and makes the exit code 3."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata

import pytest
import yaml

from tests import tiny
from xitt import cli, doctor
from xitt.doctor import MISSING, NOTE, OK, Finding
from xitt.parameters import merge
from xitt.study import load_study


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.delenv("XITT_OUTPUTS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tiny.make(tmp_path)


def with_changes(file, **changes):
    file.write_text(yaml.safe_dump(merge(yaml.safe_load(tiny.TINY), changes)))
    return load_study(file)


def states(found) -> dict[str, str]:
    return {f.about: f.state for f in found}


def one(found, about: str) -> Finding:
    return next(f for f in found if f.about == about and f.state != OK)


def command(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["xitt", "doctor", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().out


def test_a_study_that_lacks_nothing(file, monkeypatch, capsys):
    found = states(doctor.examine(load_study(file)))
    wanted = {"python", "cpu", "kernel", "locale", "project", "outputs", "notebooks", "data", "disk"}
    assert {k for k in wanted if found.get(k) == OK} == wanted
    assert found["backbone"] == NOTE  # is built when the study runs
    assert not (file.parent.parent / "outputs").exists(), "nothing is written"


def test_the_command(file, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_packages", lambda: [Finding(OK, "packages", "all")])
    code, out = command(monkeypatch, capsys, str(file))
    assert (code, out.splitlines()[-1]) == (0, "nothing is missing"), out
    with_changes(file, backbone={"folder": "nowhere"})
    code, out = command(monkeypatch, capsys, str(file))
    assert code == 3
    assert out.splitlines()[-1].split()[0] == str(out.count("MISSING "))
    assert out.count("-> ") >= out.count("MISSING ")
    code, out = command(monkeypatch, capsys)
    assert code == 0


def test_packages(monkeypatch):
    real = metadata.version
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy>=1", "nonesuch>=2", "torch<1", 'dask>=1; extra == "cluster"', 'nothing2; extra == "cluster"'])  # fmt: skip
    monkeypatch.setattr(metadata, "version", lambda name: "1.0" if name == "xitt" else real(name))
    found = one(list(doctor._packages()), "packages")
    assert found.state == MISSING
    assert found.text.startswith("nonesuch is not installed; torch ")
    assert "is not <1" in found.text
    assert "pip install" in found.remedy
    assert "nothing2 is not installed" in one(list(doctor._packages()), "extras").text


def test_devices(file, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "_gpus", lambda: [])
    study = with_changes(file, engine={"device": "cuda"})
    assert one(list(doctor._devices(study)), "gpu").state == MISSING
    assert one(list(doctor._devices(None)), "gpu").state == NOTE
    monkeypatch.setattr(doctor, "_gpus", lambda: ["NVIDIA A100, 81920 MiB"])
    assert "A100" in one(list(doctor._devices(study)), "gpu").text
    assert "torch" in one(list(doctor._devices(study)), "gpu").remedy


def test_the_kernel(tmp_path, monkeypatch):
    from jupyter_client import kernelspec

    class Manager:
        argv = ("/nowhere/python",)

        def get_kernel_spec(self, name):
            if self.argv is None:
                raise kernelspec.NoSuchKernel(name)
            return kernelspec.KernelSpec(argv=list(self.argv), resource_dir="here")

    monkeypatch.setattr(kernelspec, "KernelSpecManager", Manager)
    assert "is not there" in one(list(doctor._kernel()), "kernel").text
    Manager.argv = (shutil.which("sh"),)
    assert "not this Python" in one(list(doctor._kernel()), "kernel").text
    Manager.argv = None
    found = one(list(doctor._kernel()), "kernel")
    assert found.remedy == f"{sys.executable} -m ipykernel install --sys-prefix --name python3"
    Manager.argv = (sys.executable,)
    assert next(f.state for f in doctor._kernel()) == OK


def test_locale(monkeypatch):
    monkeypatch.setattr(doctor.locale, "getpreferredencoding", lambda _: "ANSI_X3.4-1968")
    assert "UTF-8" in one(list(doctor._language()), "locale").remedy


def test_data_that_are_not_there(file, tmp_path):
    study = with_changes(
        file, data={"source": "folder", "folder": str(tmp_path / "empty")}, backbone={"folder": "nowhere"}
    )
    (tmp_path / "empty").mkdir()
    found = doctor.examine(study)
    absent = [f for f in found if f.about == "data" and f.state == MISSING]
    assert {f.text.split(":")[0] for f in absent} >= {"xnli", "udpos", "mnli", "tatoeba"}
    assert all(f.remedy for f in absent)
    assert one(found, "backbone").state == MISSING
    assert one(found, "backbone").remedy


def test_an_unset_folder_is_one_line(file, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    found = doctor.examine(with_changes(file, data={"source": "folder", "folder": "${NOT_SET}"}))
    assert [f for f in found if f.state == MISSING and "NOT_SET" in f.text]


def test_disk(file, monkeypatch):
    study = load_study(file)
    assert doctor.parameters(study) == 2 * (4 * 32**2 + 2 * 32 * 48) + (900 + 514) * 32
    lean = doctor.need(with_changes(file, keep="none"))
    assert doctor.need(study) > lean > 4 * doctor.parameters(study)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, doctor.RESERVE))
    found = one(list(doctor._disk(study)), "disk")
    assert found.state == MISSING
    assert "xitt clean" in found.remedy


def test_outputs_that_cannot_be_written(file, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert "XITT_OUTPUTS" in one(list(doctor._folders(load_study(file))), "outputs").remedy


def test_damaged_records(file):
    from xitt import store

    study = load_study(file)
    run = store.RunFolder(study.out / "runs", store.Spec("target", "02.none.x.s0", {}))
    run.begin()
    run.finish({"score": 1})
    assert states(doctor._records(study)) == {"records": OK}
    (run.path / "spec.json").write_text("{}")
    found = one(list(doctor._records(study)), "record")
    assert found.state == MISSING
    assert "xitt run" in found.remedy
    assert run.path.is_dir(), "it only looks"


def test_a_notebook_without_its_parameter(file):
    path = file.parent.parent / "notebooks" / "02_target.ipynb"
    path.write_text(path.read_text().replace("intermediate:", "intermediary:"))
    assert "no parameter 'intermediate'" in one(doctor.examine(load_study(file)), "notebooks").text
