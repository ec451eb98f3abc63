"""The demo's front door."""

from typer.testing import CliRunner

from electrain.cli import app


def test_demo_refuses_a_folder_with_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    result = CliRunner().invoke(app, ["demo", "-o", str(tmp_path)])
    assert result.exit_code == 1
    assert "expected a new or empty folder" in result.output
    assert (tmp_path / "thesis.tex").exists()


def test_demo_deletes_nothing_but_an_earlier_demo(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    result = CliRunner().invoke(app, ["demo", "-o", str(tmp_path), "--overwrite"])
    assert result.exit_code == 1
    assert "contains files that are not from an earlier demo" in result.output
    assert (tmp_path / "thesis.tex").exists()
