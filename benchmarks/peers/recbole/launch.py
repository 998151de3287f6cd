"""RecBole through its public interface, timed from outside; `benchmarks/training.py` runs it.

    PEER_PYTHON launch.py steps  --data FOLDER --name LOG --batches 4
    PEER_PYTHON launch.py epochs --data FOLDER --name LOG --epochs 3

Written on stdout, a JSON object a line: `about` (versions and settings), then `step` (rows, seconds) for each
batch after a first one that warms up, or `epoch` (seconds of training, seconds and NDCG@10 of validation).
Whatever RecBole prints goes to stderr, whatever it writes to a temporary folder.

Model, trainer, loaders and metrics are RecBole's own, as they come. Three things stand between 1.2.1 and a
measurement:

    torch.load      reads weights only since torch 2.6, which RecBole's checkpoints are not made for
    sys.argv        is read by RecBole's Config, which must not meet the arguments of this program
    anomaly mode    of autograd is switched on when its sequential models are imported, and slows every step;
                    it is switched off again here unless --as-shipped says to leave it
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from typing import Any, TextIO


def main() -> None:
    asked = arguments()
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    del sys.argv[1:]
    data = os.path.abspath(asked.data)
    with tempfile.TemporaryDirectory(prefix="recbole-") as scratch:
        os.chdir(scratch)
        measure(asked, settings(asked, data, scratch), report)
        os.chdir(data)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("what", choices=["steps", "epochs"])
    parser.add_argument("--data", required=True, help="folder that holds LOG/LOG.inter")
    parser.add_argument("--name", required=True, help="LOG")
    parser.add_argument("--batches", type=int, default=4, help="of `steps`, after one that warms up")
    parser.add_argument("--epochs", type=int, default=3, help="of `epochs`")
    parser.add_argument("--as-shipped", action="store_true", help="leave anomaly mode as RecBole sets it")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    for size in ("seq-len", "hidden-size", "heads", "layers", "inner-size", "batch-size"):
        parser.add_argument(f"--{size}", type=int, required=True)
    parser.add_argument("--dropout", type=float, required=True)
    parser.add_argument("--attention-dropout", type=float, default=0.0)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    return parser.parse_args()


def settings(asked: argparse.Namespace, data: str, scratch: str) -> dict[str, object]:
    """RecBole's configuration of SASRec with full cross entropy, leave-one-out, whole-catalogue ranking."""
    return {
        "data_path": data,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "MAX_ITEM_LIST_LENGTH": asked.seq_len,
        "hidden_size": asked.hidden_size,
        "inner_size": asked.inner_size,
        "n_layers": asked.layers,
        "n_heads": asked.heads,
        "hidden_dropout_prob": asked.dropout,
        "attn_dropout_prob": asked.attention_dropout,
        "hidden_act": "gelu",
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "learning_rate": asked.learning_rate,
        "train_batch_size": asked.batch_size,
        "eval_batch_size": asked.batch_size,
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "order": "TO",
            "group_by": "user",
            "mode": {"valid": "full", "test": "full"},
        },
        "metrics": ["NDCG"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "seed": asked.seed,
        "use_gpu": False,
        "show_progress": False,
        "checkpoint_dir": os.path.join(scratch, "saved"),
    }


def measure(asked: argparse.Namespace, config_dict: dict[str, object], report: TextIO) -> None:
    began = time.perf_counter()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(asked.threads)
    torch.load = functools.partial(torch.load, weights_only=False)
    import recbole
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    config = Config(model="SASRec", dataset=asked.name, config_dict=config_dict)
    init_seed(config["seed"], config["reproducibility"])
    train, valid, _ = data_preparation(config, create_dataset(config))
    model = get_model(config["model"])(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    if not asked.as_shipped:
        torch.autograd.set_detect_anomaly(False)
    say(
        report,
        "about",
        recbole=recbole.__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        threads=torch.get_num_threads(),
        anomaly_mode=torch.is_anomaly_enabled(),
        allocator={name: value for name, value in os.environ.items() if name.startswith("MALLOC_")},
        rows=len(train.dataset),
        batches=len(train),
        items=train.dataset.item_num - 1,
        queries=len(valid.dataset),
        parameters=sum(weight.numel() for weight in model.parameters()),
        preparation_s=time.perf_counter() - began,
    )
    if asked.what == "steps":
        time_steps(trainer, train, asked, report)
        return
    for epoch in range(asked.epochs):
        started = time.perf_counter()
        trainer._train_epoch(train, epoch)
        trained = time.perf_counter()
        found = trainer.evaluate(valid, load_best_model=False)
        ended = time.perf_counter()
        say(
            report,
            "epoch",
            epoch=epoch + 1,
            train_s=trained - started,
            validate_s=ended - trained,
            ndcg10=float(found["ndcg@10"]),
        )


def time_steps(trainer: Any, train: Any, asked: argparse.Namespace, report: TextIO) -> None:
    """The trainer's own epoch over the first batches; the clock is read where it asks for the next one."""
    loader = FirstBatches(train, asked.batches + 1)
    trainer._train_epoch(loader, 0)
    for rows, seconds in loader.steps[1:]:
        say(report, "step", rows=rows, seconds=seconds)


class FirstBatches:
    """A loader cut short: iterates over its first `count` batches and notes the seconds that each took."""

    def __init__(self, loader: Any, count: int) -> None:
        self.loader, self.count = loader, count
        self.steps: list[tuple[int, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return min(self.count, len(self.loader))

    def __iter__(self) -> Any:
        # From one request to the next: making the batch, and the step.
        asked_at = time.perf_counter()
        for batch in itertools.islice(iter(self.loader), self.count):
            yield batch
            now = time.perf_counter()
            self.steps.append((len(batch), now - asked_at))
            asked_at = now


def say(report: TextIO, kind: str, **fields: object) -> None:
    report.write(json.dumps({"kind": kind, **fields}) + "\n")


if __name__ == "__main__":
    main()
