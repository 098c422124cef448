{{/* Name of everything in the release; at most 40 characters, so that parts can be added. */}}
{{- define "evalai.name" -}}
{{- if contains "evalai" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-evalai" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels that select the pods of one component: (list $ "web"). */}}
{{- define "evalai.selector" -}}
app.kubernetes.io/name: evalai
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* All labels of a resource of one component: (list $ "web"). */}}
{{- define "evalai.labels" -}}
{{ include "evalai.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "evalai-%s" (index . 0).Chart.Version }}
{{- end }}

{{/* Name and labels of a resource of one component: (list $ "web"). */}}
{{- define "evalai.metadata" -}}
name: {{ include "evalai.name" (index . 0) }}-{{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels: {{- include "evalai.labels" . | nindent 2 }}
{{- end }}

{{/* An image of .Values.image as a pod's spec takes it. */}}
{{- define "evalai.image" -}}
image: {{ printf "%s:%s" .image.repository .image.tag | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- end }}

{{/* Name of the Secret with SECRET_KEY and RDS_PASSWORD. */}}
{{- define "evalai.secret" -}}
{{- .Values.secrets.existingSecret | default (include "evalai.name" .) }}
{{- end }}
