# posekit on a CPU, without installing anything but Docker. From the repository's root:
#
#   docker build -t posekit .
#   docker run --rm -it -p 127.0.0.1:8888:8888 -v posekit:/work posekit      # then open the printed address
#   docker run --rm -v "$PWD:/work" --user "$(id -u)" posekit posekit predict people photo.jpg
#
# What you draw, train and change is in /work. The stage `system` is also the devcontainer's.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS system
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git libgl1 libglib2.0-0 libgomp1 python3.11-venv \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --shell /bin/bash posekit \
    && install -d -o posekit -g posekit /posekit /work
ENV LANG=C.UTF-8 PIP_NO_CACHE_DIR=1
USER posekit

FROM system
WORKDIR /posekit
# First what the set-up reads, so that a change elsewhere doesn't install 4 GB of packages again.
COPY --chown=posekit pyproject.toml setup.py README.md LICENSE ./
COPY --chown=posekit scripts scripts
COPY --chown=posekit posekit/__init__.py posekit/
RUN bash -c 'source scripts/setup.sh && set_up course'
COPY --chown=posekit . .
ENV PATH=/posekit/.venv/bin:$PATH POSEKIT_HOME=/work
WORKDIR /work
EXPOSE 8888
CMD ["posekit", "lab", "--no-browser", "--ip=0.0.0.0"]
