# The lab itself, for a cluster: one static binary. In a pod it runs the embedded
# fabric, which needs no root, no network and no Docker.
#
#   make build
#   docker build -f docker/k8s/hybridlab.Dockerfile -t YOUR-IMAGE bin
ARG BASE=debian:trixie-slim
FROM ${BASE}
COPY hybridlab /usr/local/bin/hybridlab
USER 65534:65534
WORKDIR /runs
CMD ["hybridlab", "run", "--fabric", "embedded"]
