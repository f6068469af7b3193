"""What every data set is once it is read: samples and their images, the frame of checks, the input pipeline.

Builds on the ground modules only; how a published layout is read is in `posekit.layouts`.
"""
