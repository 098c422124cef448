{{/* Name and labels of a resource beside the models: (list $ "runner-kidney-ct"). */}}
{{- define "evalai.modelMetadata" -}}
name: {{ include "evalai.name" (index . 0) }}-{{ index . 1 }}
namespace: {{ (index . 0).Values.containers.namespace }}
labels: {{- include "evalai.labels" . | nindent 2 }}
{{- end }}

{{/* A challenge's container settings with the defaults: (list $ worker). */}}
{{- define "evalai.container" -}}
{{- mergeOverwrite (deepCopy (index . 0).Values.containerDefaults) (index . 1).container | toYaml }}
{{- end }}

{{/* The file that a runner and its trusted steps read (runner/settings.py): (list $ worker). */}}
{{- define "evalai.runnerSettings" -}}
{{- $root := index . 0 }}
{{- $worker := index . 1 }}
{{- $container := include "evalai.container" . | fromYaml }}
{{- $values := $root.Values }}
{{- $queues := printf "https://sqs.%s.amazonaws.com/%s" $values.aws.region $values.aws.accountId -}}
challenge: {{ $worker.name }}
challenge_id: {{ $worker.challengeId }}
release: {{ include "evalai.name" $root }}
namespace: {{ $values.containers.namespace }}
queue_url: {{ $queues }}/{{ $container.queue }}
scoring_queue_url: {{ $queues }}/{{ $worker.queue }}
failed_queue_arn: {{ $container.failedQueueArn }}
api_url: http://{{ include "evalai.name" $root }}-web.{{ $root.Release.Namespace }}
api_host: {{ $values.host }}
image: {{ $values.image.runner.repository }}:{{ $values.image.runner.tag }}
image_pull_policy: {{ $values.image.pullPolicy }}
repositories: {{ $container.repositories | toJson }}
dataset_bucket: {{ $values.containers.datasetBucket | quote }}
datasets: {{ $container.datasets | toJson }}
resources: {{- toYaml $container.resources | nindent 2 }}
helper_resources: {{- toYaml $values.containers.helperResources | nindent 2 }}
node_selector: {{ $container.placement.nodeSelector | toJson }}
tolerations: {{ $container.placement.tolerations | toJson }}
storage_class: {{ $values.containers.storageClass }}
volume_size: {{ $container.volumeSize }}
output: {{ $container.output }}
max_output_bytes: {{ mul (min $container.maxOutputMib $values.maxUploadMib) 1048576 }}
fetch_seconds: {{ $container.fetchSeconds }}
start_seconds: {{ $container.startSeconds }}
max_seconds: {{ $container.maxSeconds }}
max_parallel: {{ $container.maxParallel }}
log_phases: {{ $container.logPhases | toJson }}
{{- end }}
