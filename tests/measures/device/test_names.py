"""Devices by name, and which card a process is left with."""

import re
from pathlib import Path

import pytest

import linrec_bench
from linrec_bench.measures.device.names import ByKind, numbered, visible_devices


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cpu", ("cpu", None)), ("cuda", ("cuda", None)), ("cuda:1", ("cuda", 1)), ("xpu:10", ("xpu", 10))],
)
def test_kind_and_index(name, expected):
    assert numbered(name) == expected


@pytest.mark.parametrize("name", ["", ":1", "cuda:", "cuda:x", "cuda:-1", "cuda 1"])
def test_no_device(name):
    with pytest.raises(ValueError, match="expected a kind and an index"):
        numbered(name)


@pytest.mark.parametrize(
    ("index", "environment", "expected"),
    [
        (0, {}, "0"),
        (3, {}, "3"),
        (1, {"CUDA_VISIBLE_DEVICES": "2,3"}, "3"),
        (0, {"CUDA_VISIBLE_DEVICES": "GPU-8a1b,GPU-9c"}, "GPU-8a1b"),
        (1, {"CUDA_VISIBLE_DEVICES": "MIG-1, MIG-2"}, "MIG-2"),
    ],
)
def test_an_index_counts_the_devices_that_are_visible(index, environment, expected):
    assert visible_devices(index, environment) == expected


@pytest.mark.parametrize("listed", ["", "0"])
def test_an_index_beyond_them(listed):
    with pytest.raises(ValueError, match="cuda:1: CUDA_VISIBLE_DEVICES="):
        visible_devices(1, {"CUDA_VISIBLE_DEVICES": listed})


def test_every_accelerator_has_the_value_of_one():
    assert [ByKind(cpu=1, accelerator=2).on(kind) for kind in ("cpu", "meta", "cuda", "xpu")] == [1, 1, 2, 2]


KERNELS = ("attention/backends/", "attention/mechanisms/flex_attention.py")
"""Written for one kind of device."""

VERSION = '"cuda": torch.version.cuda'
"""How a build of torch was made, of whatever device."""


def test_no_other_file_names_a_kind_of_accelerator():
    package = Path(linrec_bench.__file__).parent
    kinds = re.compile(r"torch\.cuda\b|[\"']cuda[\"':]|pynvml|\.is_cuda\b")
    texts = {path: path.read_text(encoding="utf-8").replace(VERSION, "") for path in package.rglob("*.py")}
    named = [path.relative_to(package).as_posix() for path, text in texts.items() if kinds.search(text)]
    assert "measures/device/names.py" in named
    assert not [name for name in named if not name.startswith(("measures/device/", *KERNELS))]
