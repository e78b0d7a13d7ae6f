"""Training of the project's own BigGAN, and of a classifier to judge its samples by."""
