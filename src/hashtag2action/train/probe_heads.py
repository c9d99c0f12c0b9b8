"""Classifiers on frozen features: linear, nearest neighbours, and attention over tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

L2 = 1e-2  # on the linear classifier's weights, features standardised
L2_TRIED = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
NEIGHBOURS = 20
TEMPERATURE = 0.07  # of neighbours' votes, exp(cosine / t): the protocol of DINO (Caron et al. 2021)

EPOCHS, BATCH, LR, DECAY = 20, 256, 1e-3, 1e-2
"""Attentive probe: AdamW, cosine to 0, no warm-up; the protocol of V-JEPA (Bardes et al. 2024) on Kinetics-400."""
LEAST_STEPS = 300
"""Of the attentive probe: small data sets take more epochs."""


def standardised(train: Tensor, *others: Tensor) -> list[Tensor]:
    """Scale features by the mean and deviation of the training ones: batch norm without parameters, as MAE's probe has."""
    deviation, mean = torch.std_mean(train, dim=0)
    return [(part - mean) / (deviation + 1e-6) for part in (train, *others)]


def linear(train: Tensor, labels: Tensor, test: Tensor, classes: int, l2: float = L2) -> Tensor:
    """Return logits `(len(test), classes)` of logistic regression with an L2 penalty, fitted to convergence from zero."""
    x, y = train.double(), labels
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(x @ weight.t() + bias, y) + 0.5 * l2 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(closure)
    return test.double() @ weight.detach().t() + bias.detach()


def nearest(train: Tensor, labels: Tensor, test: Tensor, classes: int, neighbours: int = NEIGHBOURS) -> Tensor:
    """Return votes `(len(test), classes)` of the nearest neighbours by cosine, each weighing `exp(cosine / t)`."""
    votes = torch.zeros(len(test), classes)
    train = F.normalize(train.float(), dim=1)
    for first in range(0, len(test), 1024):
        rows = slice(first, first + 1024)
        similarity = F.normalize(test[rows].float(), dim=1) @ train.t()
        cosine, index = similarity.topk(min(neighbours, len(train)), dim=1)
        votes[rows].scatter_add_(1, labels[index], (cosine / TEMPERATURE).exp())
    return votes


class AttentiveHead(nn.Module):
    """One learnt query asks all tokens `(B, N, dim)`, an MLP follows, and a linear classifier: `(B, classes)`."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        heads = max(1, dim // 64)
        self.query = nn.Parameter(torch.empty(1, 1, dim))
        nn.init.trunc_normal_(self.query, std=0.02)
        self.norm = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.head = nn.Linear(dim, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits."""
        keys = self.norm(tokens)
        asked = self.query + self.attention(self.query.expand(len(tokens), -1, -1), keys, keys, need_weights=False)[0]
        return self.head((asked + self.mlp(self.norm2(asked)))[:, 0])


def attentive(
    train: Tensor, labels: Tensor, test: Tensor, classes: int, seed: int = 0, epochs: int = EPOCHS, batch: int = BATCH
) -> Tensor:
    """Train an `AttentiveHead` on tokens `(N, tokens, dim)` and return logits `(len(test), classes)`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = AttentiveHead(train.shape[-1], classes).to(device)
        per_epoch = -(-len(train) // batch)
        steps = max(epochs * per_epoch, LEAST_STEPS)
        optimiser = torch.optim.AdamW(head.parameters(), lr=LR, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        order = torch.empty(0, dtype=torch.int64)
        with torch.enable_grad():
            for _ in range(steps):
                if not len(order):
                    order = torch.randperm(len(train))
                rows, order = order[:batch], order[batch:]
                loss = F.cross_entropy(head(train[rows].float().to(device)), labels[rows].to(device))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    head.eval()
    with torch.inference_mode():
        return torch.cat([head(part.float().to(device)).cpu() for part in test.split(batch)])


def best_l2(parts: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]], classes: int) -> float:
    """Return the penalty of `L2_TRIED` with the least cross-entropy on held-out rows, summed over parts.

    A part is training rows and their labels, held-out rows and theirs. On a few dozen clips cross-entropy tells penalties
    apart that name equally many right.
    """

    def lost(l2: float) -> float:
        answers = [(linear(x, labels, held, classes, l2), wanted) for x, labels, held, wanted in parts]
        return sum(float(F.cross_entropy(logits, wanted, reduction="sum")) for logits, wanted in answers)

    return min(L2_TRIED, key=lost)


def label_numbers(labels: Sequence[str], classes: Sequence[str]) -> Tensor:
    """Return each label's place in `classes`, -1 where it is none of them."""
    number = {name: i for i, name in enumerate(classes)}
    return torch.tensor([number.get(label, -1) for label in labels])
