"""The networks: VideoMAE for pre-training, a classifier for fine-tuning, their masks and their files."""

from hashtag2action.models.checkpoints import LoadReport, load_model, load_pretrained, save_checkpoint
from hashtag2action.models.classifier import VideoClassifier
from hashtag2action.models.config import ClassifierConfig, EncoderConfig, VideoMAEConfig
from hashtag2action.models.export import export_model
from hashtag2action.models.masking import random_masks, running_cell_masks, sample_masks, tube_masks
from hashtag2action.models.sizes import build_classifier, build_videomae
from hashtag2action.models.videomae import VideoMAE

__all__ = [
    "ClassifierConfig",
    "EncoderConfig",
    "LoadReport",
    "VideoClassifier",
    "VideoMAE",
    "VideoMAEConfig",
    "build_classifier",
    "build_videomae",
    "export_model",
    "load_model",
    "load_pretrained",
    "random_masks",
    "running_cell_masks",
    "sample_masks",
    "save_checkpoint",
    "tube_masks",
]
