from linrec_bench import terminal
from linrec_bench.commands.predict import forecast
from linrec_bench.execution.executors.local import LocalExecutor
from linrec_bench.suite.expand import expand
from linrec_bench.suite.schema import Suite
from linrec_bench.terminal.plan_tables import show_forecast


def test_a_forecast_names_every_mechanism_and_phase_in_80_columns(capsys, monkeypatch):
    monkeypatch.setattr(terminal.out, "width", 80)
    sweeps = [
        {"task": "core", "attention": ["softmax", "linear-transformer"], "grid": {"seq_len": [1024]}},
        {"task": "recommend", "attention": ["softmax"], "model": "sasrec", "dataset": "synthetic"},
    ]
    sweeps[1]["fixed"] = {"causal": True, "seq_len": 50}
    jobs = expand(Suite.model_validate({"name": "s", "sweeps": sweeps}), device="cpu")
    with LocalExecutor() as executor:
        show_forecast(forecast(jobs, executor, memory_bytes=2**20, ceilings=None), 2**20)
    lines = capsys.readouterr().out.splitlines()
    # A heading, a line a case, the reason of what is not known, and the count.
    assert len(lines) == 1 + len(jobs) + 2
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert any(line.split()[:2] == ["linear-transformer", "forward_backward"] for line in lines)
    assert lines[-2] == "- 1 not known: task recommend has no fixed shape"
    assert "do not fit 1.00 MiB" in lines[-1]
