"""From images to keypoints: predictors on every run time, boxes in images, and whole images and videos.

Builds on datasets (crops and batches) and models (networks and their checkpoints).
"""
