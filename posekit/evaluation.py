"""A model's or a file's accuracy under every protocol of its data set."""

from pathlib import Path

from posekit.datasets.dataset import PoseDataset
from posekit.datasets.veri import label_path, read_labels
from posekit.errors import InputError
from posekit.files import write_json
from posekit.metrics import Labels, veri_pck, veri_seed_table
from posekit.predictions import Predictions, read_predictions, write_predictions
from posekit.skeletons import VEHICLE

# A protocol gives rows of columns, in percent; a single row has an empty name.
Scores = dict[str, dict[str, float]]


def _veri_seed(labels: Labels, predictions: Predictions) -> Scores:
    return {"": veri_seed_table(labels, predictions)}


PROTOCOLS = {"veri": {"seed": _veri_seed, "pck": veri_pck}}


def score(kind: str, labels: Labels, predictions: Predictions) -> dict[str, Scores]:
    """Every protocol's table for predictions of a data set of that kind."""
    return {name: protocol(labels, predictions) for name, protocol in PROTOCOLS[kind].items()}


def score_veri(data: Path, predictions: Path, protocol: str, split: str) -> Scores:
    """One protocol's table for a predictions file, from labels alone: `data` is a VeRi folder or a label csv."""
    if protocol not in PROTOCOLS["veri"]:
        raise InputError(f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS['veri'])}")
    labels = read_labels(data if data.is_file() else label_path(data, split))
    return PROTOCOLS["veri"][protocol](labels, read_predictions(predictions, VEHICLE.num_keypoints))


def evaluate(
    model: Path, data: Path | None, split: str, out: Path, device: str, flip_test: bool | None, images: Path | None
) -> dict[str, Scores]:
    """Predict a split with a model file and score it; writes out/predictions.csv and out/scores.json."""
    from posekit.predictors import load_predictor, predict_dataset
    from posekit.splits import open_split

    predictor = load_predictor(model, device, flip_test=flip_test)
    dataset: PoseDataset = open_split(predictor.recipe, data, split, images)
    predictions = predict_dataset(predictor, dataset)
    scores = score(predictor.recipe.dataset, dataset, predictions)
    write_predictions(out / "predictions.csv", predictions)
    write_json(out / "scores.json", scores)
    return scores
