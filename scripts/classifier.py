"""Train the classifier that samples and edits are judged by."""

from faces import device_of
from job import Job, run
from lowrankgan.training.classifier import save_classifier, train_classifier
from lowrankgan.training.data import load


def main(job: Job) -> None:
    data = load(job.input("dataset") / "training.safetensors")
    classifier = train_classifier(data, **job.settings, device=device_of())
    save_classifier(classifier, job.output / "classifier.safetensors")


if __name__ == "__main__":
    run(main)
