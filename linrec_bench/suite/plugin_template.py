"""What `linrec-bench init --plugin` and `--ci` write: a mechanism of one's own, its suite, and a workflow."""

from __future__ import annotations

import json
from importlib import metadata

PLUGIN = '''\
"""A mechanism to start from: linear attention, o = f(q) (f(k)^T v) / (f(q) sum_j f(k_j)), f(x) = elu(x) + 1.

    linrec-bench verify --plugin {file}
    linrec-bench check {suite} --plugin {file}
"""

import torch
{layer_import}
from linrec_bench.attention import Spec


def core(q, k, v, *, padding_mask=None, causal=False):
    """o [B, H, N, d] of q, k, v [B, H, N, d]; padding_mask [B, N] is True where a token is real."""
    q, k = (torch.nn.functional.elu(x) + 1 for x in (q, k))
    if padding_mask is not None:
        k = k * padding_mask[:, None, :, None]
    return (q @ (k.mT @ v)) / (q @ k.sum(dim=-2, keepdim=True).mT).clamp(min=1e-6)


def reference(q, k, v, *, padding_mask=None, causal=False):
    """The same with its N x N weights written out: the definition of what is right."""
    q, k = (torch.nn.functional.elu(x) + 1 for x in (q, k))
    weights = torch.einsum("bhid,bhjd->bhij", q, k)
    if padding_mask is not None:
        weights = weights * padding_mask[:, None, None, :]
    return weights @ v / weights.sum(dim=-1, keepdim=True).clamp(min=1e-6)

{layer}
SPEC = Spec(
    name="{name}",
    core=core,
    reference=reference,{layer_field}
    causal=False,
    time_exponent=1.0,
    memory_exponent=1.0,
)
'''

LAYER = '''
class Layer(nn.Module):
    """x [B, N, D] -> y [B, N, D]; without a layer, a mechanism has plain projections around its core."""

    def __init__(self, hidden_size, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(hidden_size, 3 * hidden_size), nn.Linear(hidden_size, hidden_size)

    def forward(self, x, padding_mask=None):
        heads = (self.heads, -1)
        q, k, v = (part.unflatten(-1, heads).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out(core(q, k, v, padding_mask=padding_mask).transpose(1, 2).flatten(2))

'''

SUITE = """\
# linrec-bench check {suite} --plugin {file}
title: Complexity of {name}
task: {task}
attention: [{name}]
grid: {{seq_len: [4096, 8192, 16384, 32768]}}
fixed: {{hidden_size: 64, heads: 2}}
phases: [forward, forward_backward]
measures: [flops, peak_memory]
expect:
  - {{attention: {name}, measure: saved_memory, exponent: "<= 1"}}
"""

WORKFLOW = """\
# Fails when operations or memory of {file} grow faster than its SPEC declares: exact counts, no timing.
name: complexity
on: [push, pull_request]
permissions:
  contents: read
jobs:
  gate:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - name: Install
        run: |
          pip install --index-url https://download.pytorch.org/whl/cpu "torch=={torch}"
          # From a repository: pip install "linrec-bench @ git+https://HOST/OWNER/linrec-bench@COMMIT"
          pip install "{requirement}"
      - name: Check
        run: linrec-bench check {suite} --plugin {file} --device cpu --junit complexity.xml
      - name: Keep the report
        if: ${{{{ !cancelled() }}}}
        uses: actions/upload-artifact@v4
        with:
          name: complexity-junit
          path: complexity.xml
          if-no-files-found: ignore
"""


def plugin_text(file: str, suite: str, *, name: str, layer: bool) -> str:
    """A mechanism whose suite is `suite`, with a layer of its own or without."""
    return PLUGIN.format(
        file=file,
        suite=suite,
        name=name,
        layer=LAYER if layer else "",
        layer_import="from torch import nn\n" if layer else "",
        layer_field="\n    layer=Layer," if layer else "",
    )


def workflow_text(file: str, suite: str) -> str:
    """A workflow of GitHub Actions that checks the plugin with these releases of torch and linrec-bench."""
    release = metadata.version("torch").partition("+")[0]
    return WORKFLOW.format(file=file, suite=suite, torch=release, requirement=requirement())


def requirement() -> str:
    """How pip finds the linrec-bench that runs: its repository and commit, or its version."""
    distribution = metadata.distribution("linrec-bench")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if "vcs_info" in origin:
        found = origin["vcs_info"]
        return f"linrec-bench @ {found['vcs']}+{origin['url']}@{found['commit_id']}"
    return f"linrec-bench=={distribution.version}"
