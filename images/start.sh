#!/usr/bin/env bash
# Builds the images of a stack in its CodeBuild project, waits, and prints the tag that `up` needs.
#
#   images/start.sh dev
#
# Needs the Pulumi and AWS CLIs, signed in. The stack must have been deployed with these files.
set -euo pipefail
cd "$(dirname "$0")/.."
stack=${1:?name of the stack}
project=$(pulumi stack output evalai_image_project --stack "$stack")
region=$(pulumi stack output region --stack "$stack")
builds() { aws codebuild --region "$region" "$@"; }

variables='projects[0].environment.environmentVariables'
tag=$(builds batch-get-projects --names "$project" --query "$variables[?name=='TAG'].value" --output text)
build=$(builds start-build --project-name "$project" --query build.id --output text)
echo "$build"
while
  read -r phase status < <(builds batch-get-builds --ids "$build" \
    --query 'builds[0].[currentPhase, buildStatus]' --output text)
  [ "$status" = IN_PROGRESS ]
do
  echo "  $phase"
  sleep 20
done
if [ "$status" != SUCCEEDED ]; then
  builds batch-get-builds --ids "$build" --query 'builds[0].logs.deepLink' --output text >&2
  exit 1
fi
echo "Built. To run them: pulumi config set evalaiImageTag $tag --stack $stack && pulumi up --stack $stack"
