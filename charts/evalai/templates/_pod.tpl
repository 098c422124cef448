{{/* What all pods have in common. Not one of them talks to the Kubernetes API. */}}
{{- define "evalai.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "evalai.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Where pods run: "platform" or "evaluation", from .Values.placement. */}}
{{- define "evalai.placement" -}}
nodeSelector: {{- toYaml .nodeSelector | nindent 2 }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Replicas of a component spread over zones, then nodes: (list $ "web"). */}}
{{- define "evalai.spread" -}}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "evalai.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}

{{/* Checksums: pods are replaced when what they were started with has changed. */}}
{{- define "evalai.checksums" -}}
checksum/environment: {{ include "evalai.environment" . | sha256sum }}
checksum/settings: {{ include "evalai.settings" . | sha256sum }}
checksum/secrets: {{ toYaml .Values.secrets | sha256sum }}
{{- end }}
