"""From images to keypoints: predictors for every run time, boxes in images, whole images and videos.

Builds on datasets (crops and batches) and models (networks and their checkpoints).
"""
