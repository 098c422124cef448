#!/usr/bin/env bash
# Builds the images and pushes them. Needs Docker with buildx, signed in to the registry.
#
#   REGISTRY=<account>.dkr.ecr.<region>.amazonaws.com/ai4h-mvp TAG=<tag> images/build.sh
#
# Pushes $REGISTRY/evalai-web, -worker, -frontend, -runner and $REGISTRY/memcached, all as $TAG.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${REGISTRY:?registry and prefix of the repositories}" "${TAG:?tag of the images}"
source images/upstream.env

upstream=$(mktemp -d)
trap 'rm -rf "$upstream"' EXIT
git clone --quiet --filter=blob:none --no-checkout "$EVALAI_REPOSITORY" "$upstream"
commit=$(git -C "$upstream" rev-parse --verify "$EVALAI_COMMIT^{commit}")
git -C "$upstream" checkout --quiet --detach "$commit"

there() { # name; tags are immutable, so a build that was cut off goes on after what it has pushed
  docker buildx imagetools inspect "$REGISTRY/$1:$TAG" >/dev/null 2>&1
}
build() { # name, Dockerfile, further arguments
  there "$1" && return
  docker buildx build --platform linux/amd64 --push --provenance=true \
    --build-context "evalai=$upstream" --build-arg "EVALAI_COMMIT=$commit" \
    --tag "$REGISTRY/$1:$TAG" --file "$2" "${@:3}" .
}
build evalai-web images/evalai/Dockerfile --target web
build evalai-worker images/evalai/Dockerfile --target worker
build evalai-frontend images/frontend/Dockerfile
build evalai-runner images/runner/Dockerfile
there memcached || docker buildx imagetools create --tag "$REGISTRY/memcached:$TAG" "$MEMCACHED_IMAGE"
