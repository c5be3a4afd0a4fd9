"""The line that shows a finding again on TensorRT, as Polygraphy's own command line reads it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import models
from verify.engines.recipe import PluginName, recipe
from verify.engines.tensorrt import Plugin, Replay
from verify.engines.version import strategy
from verify.library import read as read_library
from verify.replay import Command, tensorrt_run

Build = Callable[..., Path]
Line = Callable[..., Command]

MAIN = "import sys; from polygraphy.tools import main; sys.exit(main())"


@pytest.fixture
def line(build: Build) -> Line:
    """line(version, precision, plugin=True): the command for the plugin's or composed layers."""
    library = read_library(build("libmish", "int f(void) { return 1; }"))
    plugin = Plugin(library, PluginName("MishExact", "1"), ("/opt/pre.so",), "/opt/libnvinfer.so.8")

    def make(version: str, precision: str, given: bool = True) -> Command:
        of = strategy(version)
        model = models.serialize(models.build("plugin", "residual", precision))
        made = recipe(model, precision, of, plugin=plugin.name if given else None)
        half = of.obey_types and precision == "fp16"
        return tensorrt_run(
            Replay(
                model=made.model,
                plugin=plugin if given else None,
                profile=made.profile,
                strategy=of,
                half=half,
                tactic_sources=of.version >= (10, 0),
                optimization_level=made.optimization_level,
            )
        )

    return make


def script(command: Command, folder: Path) -> str:
    """The script that Polygraphy makes of the command's options."""
    (folder / "model.onnx").write_bytes(b"")
    (folder / "compare.py").write_text("")
    words = [*command.words[1:], "--gen-script", "script.py"]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "script.py").read_text()


def test_8_6_is_told_to_compute_in_half(line: Line, tmp_path: Path) -> None:
    command = line("8.6.0", "fp16")
    assert command.environment == (("LD_PRELOAD", "/opt/libnvinfer.so.8:/opt/pre.so"),)
    text = script(command, tmp_path)
    assert f"plugins=['{tmp_path / 'libmish.so'}']" in text
    assert "Profile().add('x', min=[0], opt=[4096], max=[4194304])" in text
    assert "precision_constraints='obey'" in text
    assert "fp16=True" in text
    assert "tactic_sources=[]" in text
    assert "InvokeFromScript('compare.py', name='obey_half')" in text
    assert "builder_optimization_level=1" in text
    assert "strongly_typed" not in text
    assert "compare_func=[InvokeFromScript('compare.py', name='compare_outputs')]" in text


def test_8_6_needs_no_word_about_fp32(line: Line, tmp_path: Path) -> None:
    text = script(line("8.6.0", "fp32"), tmp_path)
    assert "fp16" not in text
    assert "precision" not in text


@pytest.mark.parametrize("version", ["10.16.1", "11.4.0"])
def test_later_versions_take_their_types_from_the_file(
    line: Line, tmp_path: Path, version: str
) -> None:
    text = script(line(version, "fp16"), tmp_path)
    assert "strongly_typed=True" in text
    assert "fp16=True" not in text
    assert "tactic_sources" not in text


def test_composed_layers_need_no_plugin_and_no_environment(line: Line, tmp_path: Path) -> None:
    command = line("10.16.1", "fp32", given=False)
    assert command.environment == ()
    text = script(command, tmp_path)
    assert "plugins" not in text
    assert "optimization_level" not in text
