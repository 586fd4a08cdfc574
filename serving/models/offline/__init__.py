"""The deterministic, extractive model that needs no weights: the floor of the product, and labelled as such."""

from serving.models.offline.model import NAME, OfflineModel

__all__ = ["NAME", "OfflineModel"]
