"""The wheel that goes to MWAA is this package's, whole and unchanged, wherever it is taken from."""

from __future__ import annotations

import zipfile
from importlib.metadata import Distribution, distribution

import pytest

from airflow_bda.mwaa import WheelError, read_wheel, rebuild_wheel


def contents(file) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_given_wheel_is_taken_as_it_is(wheel_file):
    wheel = read_wheel(wheel_file)

    assert (wheel.name, wheel.version) == (wheel_file.name, "1.2.3")
    assert wheel.content == wheel_file.read_bytes()


def test_an_installed_package_becomes_the_wheel_that_it_was(installed, wheel_file, tmp_path):
    """What the installer added is left out: scripts, compiled files, and where the wheel came from."""
    wheel = rebuild_wheel(installed)

    rebuilt = tmp_path / "rebuilt.whl"
    rebuilt.write_bytes(wheel.content)
    expected, found = contents(wheel_file), contents(rebuilt)
    records = [set(files.pop(name).splitlines()) for files in (expected, found) for name in [_record_of(files)]]
    assert found == expected
    assert records[0] == records[1]
    assert (wheel.name, wheel.version) == (wheel_file.name, "1.2.3")


def _record_of(files) -> str:
    (name,) = [name for name in files if name.endswith("/RECORD")]
    return name


def test_it_comes_out_the_same_every_time(installed):
    assert rebuild_wheel(installed) == rebuild_wheel(installed)


@pytest.mark.parametrize("change", [lambda file: file.write_text("changed"), lambda file: file.unlink()])
def test_a_file_that_was_changed_after_the_installation_is_not_passed_on(installed, site, change):
    change(site / "airflow_bda" / "__init__.py")

    with pytest.raises(WheelError, match=r"__init__\.py is not what was installed: install .* again, or use --wheel"):
        rebuild_wheel(installed)


def test_a_checkout_has_no_wheel(site, installed):
    """An editable install records a pointer to the checkout in place of the package."""
    record = site / "airflow_provider_bda-1.2.3.dist-info" / "RECORD"
    kept = [line for line in record.read_text().splitlines() if not line.startswith("airflow_bda/__init__")]
    record.write_text("\n".join(kept))

    with pytest.raises(WheelError, match="make mwaa"):
        rebuild_wheel(installed)


def test_an_installation_without_records_has_no_wheel(tmp_path):
    info = tmp_path / "airflow_provider_bda-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: airflow-provider-bda\nVersion: 1.2.3\n")

    with pytest.raises(WheelError, match="--wheel"):
        rebuild_wheel(Distribution.at(info))


def test_the_package_as_it_is_installed_here(tmp_path):
    """A real installer's record: whole where a wheel was installed, refused where it is a checkout."""
    here = distribution("airflow-provider-bda")
    if not any(str(path) == "airflow_bda/__init__.py" for path in here.files):
        with pytest.raises(WheelError, match="make mwaa"):
            rebuild_wheel(here)
        return
    wheel = rebuild_wheel(here)
    file = tmp_path / wheel.name
    file.write_bytes(wheel.content)

    assert read_wheel(file) == wheel
    assert {"airflow_bda/py.typed", "airflow_bda/example_dags/bda_document.py"} <= contents(file).keys()


def make_other(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("other-1.0.dist-info/METADATA", "Name: other\nVersion: 1.0\n")


def make_no_metadata(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("README", "")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: None, "cannot be read: No such file or directory"),
        (lambda file: file.mkdir(), "cannot be read: Is a directory"),
        (lambda file: file.write_text("no zip"), "is not a wheel"),
        (make_other, "not a wheel of airflow-provider-bda, but of other"),
        (make_no_metadata, "not a wheel of airflow-provider-bda"),
    ],
    ids=["missing", "folder", "text", "another package", "zip"],
)
def test_what_is_no_wheel_of_this_package_is_refused(tmp_path, make, said):
    file = tmp_path / "airflow_provider_bda-1.2.3-py3-none-any.whl"
    make(file)

    with pytest.raises(WheelError, match=said):
        read_wheel(file)


def test_a_renamed_wheel_is_refused(wheel_file):
    """Installers read version and platform from the name."""
    renamed = wheel_file.rename(wheel_file.with_name("bda.whl"))

    with pytest.raises(WheelError, match=r"must be named airflow_provider_bda-1\.2\.3-py3-none-any\.whl"):
        read_wheel(renamed)
