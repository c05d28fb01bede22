"""Latencies in buckets that grow by two percent: small, mergeable, and good enough for every percentile."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

_GROWTH = math.log(1.02)
_SMALLEST = 1e-6


class Histogram:
    """Seconds, each with a weight. Percentiles are within one percent."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._counts: Counter[int] = Counter({int(key): n for key, n in (counts or {}).items()})

    def add(self, seconds: float, weight: int = 1) -> None:
        bucket = int(math.log(max(seconds, _SMALLEST) / _SMALLEST) / _GROWTH)
        self._counts[bucket] += weight

    def merge(self, other: Histogram) -> None:
        self._counts.update(other._counts)

    @classmethod
    def of(cls, samples: Iterable[float]) -> Histogram:
        histogram = cls()
        for sample in samples:
            histogram.add(sample)
        return histogram

    @property
    def count(self) -> int:
        return sum(self._counts.values())

    def percentile(self, percent: float) -> float:
        """Seconds below which ``percent`` of the weight lies, 0 to 100; 0.0 when there is nothing."""
        rank = max(1, math.ceil(self.count * percent / 100))
        for bucket in sorted(self._counts):
            rank -= self._counts[bucket]
            if rank <= 0:
                return _SMALLEST * math.exp((bucket + 0.5) * _GROWTH)
        return 0.0

    def to_dict(self) -> dict[str, int]:
        return {str(bucket): count for bucket, count in sorted(self._counts.items())}
